package dev.cofferdam.deploy.mesh;

import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;

/** Calls to the services as their operator, known by a client certificate. */
public record OperatorChannels(MeshLayout layout, MeshPorts ports) {
  public Open scheduler() throws IOException {
    return open(ports.schedulerAddress());
  }

  public Open broker() throws IOException {
    return open(ports.brokerTenantsAddress());
  }

  private Open open(String address) throws IOException {
    return new Open(
        Grpc.newChannelBuilder(
                address,
                TlsChannelCredentials.newBuilder()
                    .keyManager(
                        layout.operator().resolve("operator.pem").toFile(),
                        layout.operator().resolve("operator.key").toFile())
                    .trustManager(layout.authorityCertificate().toFile())
                    .build())
            .build());
  }

  /** A channel that closes with its user. */
  public record Open(ManagedChannel channel) implements AutoCloseable {
    @Override
    public void close() {
      var _ = channel.shutdownNow();
    }
  }
}
