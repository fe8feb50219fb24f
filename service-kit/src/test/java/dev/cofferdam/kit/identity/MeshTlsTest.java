package dev.cofferdam.kit.identity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.server.RpcServer;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.stub.ServerCalls;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MeshTlsTest {
  private static final MethodDescriptor<StatFileRequest, FileInfo> STAT =
      FileServiceGrpc.getStatFileMethod();

  @TempDir Path directory;

  @Test
  void aReplacedCertificateIsUsedWithoutARestart() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    TlsFiles files = peer(mesh, "before");
    try (MeshTls serverTls = MeshTls.open(tlsFiles(mesh.peer("scheduler-svc", "s1")));
        RpcServer server = whoAmI(serverTls);
        MeshTls tls = MeshTls.open(files, Duration.ofMillis(50))) {
      assertThat(instance(tls, server)).isEqualTo("before");
      peer(mesh, "after");
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      String seen = "before";
      while (seen.equals("before") && System.nanoTime() < deadline) {
        seen = instance(tls, server);
      }
      assertThat(seen).isEqualTo("after");
    }
  }

  @Test
  void theEndOfTheCertificateInForceIsAMetric() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    TlsFiles files = peer(mesh, "n1");
    SimpleMeterRegistry meters = new SimpleMeterRegistry();
    try (MeshTls tls = MeshTls.open(files)) {
      tls.bindTo(meters);
      X509Certificate certificate;
      try (InputStream in = Files.newInputStream(files.certificate())) {
        certificate =
            (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
      }
      assertThat(meters.get("cofferdam.certificate.not.after").timeGauge().value(TimeUnit.SECONDS))
          .isEqualTo((double) certificate.getNotAfter().toInstant().getEpochSecond());
    }
  }

  @Test
  void aKeyThatIsNotTheCertificatesIsNeverUsed() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    TlsFiles files = tlsFiles(mesh.peer("node-agent", "n1"));
    TlsFiles other = tlsFiles(mesh.peer("node-agent", "n2"));
    Files.copy(other.key(), files.key(), StandardCopyOption.REPLACE_EXISTING);
    assertThatThrownBy(() -> MeshTls.open(files))
        .hasMessageContaining("the key is not the certificate's")
        .hasMessageContaining(files.key().toString());
  }

  @Test
  void aMissingFileIsNamed() {
    TlsFiles missing =
        new TlsFiles(
            directory.resolve("absent.pem"),
            directory.resolve("k"),
            directory.resolve("c"),
            "test.local");
    assertThatThrownBy(() -> MeshTls.open(missing)).hasMessageContaining("absent.pem");
  }

  private static TlsFiles tlsFiles(TestCertificates.PeerFiles files) {
    return new TlsFiles(
        files.certificate(), files.key(), files.authority(), TestCertificates.TRUST_DOMAIN);
  }

  private static TlsFiles peer(TestCertificates mesh, String instance) {
    return tlsFiles(
        mesh.withUris(
            "rotating",
            new PeerIdentity("node-agent", instance).uri(TestCertificates.TRUST_DOMAIN)));
  }

  private static RpcServer whoAmI(MeshTls tls) throws Exception {
    return RpcServer.builder("test", new InetSocketAddress("127.0.0.1", 0))
        .tls(tls.server(ClientAuth.REQUIRE), TestCertificates.TRUST_DOMAIN)
        .meters(new SimpleMeterRegistry())
        .rules(CallRules.builder().peers(STAT, "node-agent").build())
        .service(
            ServerServiceDefinition.builder(STAT.getServiceName())
                .addMethod(
                    STAT,
                    ServerCalls.asyncUnaryCall((request, answer) -> {
                      answer.onNext(
                          FileInfo.newBuilder()
                              .setPath(Callers.peer().identity().instance())
                              .build());
                      answer.onCompleted();
                    }))
                .build())
        .start();
  }

  private static String instance(MeshTls tls, RpcServer server) throws Exception {
    ManagedChannel channel =
        new MeshChannels(tls)
            .to(InetSocketAddress.createUnresolved("127.0.0.1", server.port()), "scheduler-svc");
    try {
      return FileServiceGrpc.newBlockingStub(channel)
          .withDeadlineAfter(10, TimeUnit.SECONDS)
          .statFile(StatFileRequest.getDefaultInstance())
          .getPath();
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }
}
