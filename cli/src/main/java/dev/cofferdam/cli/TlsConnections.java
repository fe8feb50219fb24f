package dev.cofferdam.cli;

import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Over TLS, opened when first asked for. Not safe for use by several threads. */
final class TlsConnections implements Connections {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final ClientSettings settings;
  private final List<ManagedChannel> open = new ArrayList<>();

  TlsConnections(ClientSettings settings) {
    this.settings = settings;
  }

  @Override
  public Channel api() {
    return tenant(settings.api(), settings.requiredToken());
  }

  @Override
  public Channel audit() {
    return tenant(settings.requiredBroker(), settings.requiredToken());
  }

  @Override
  public Channel secrets() {
    return tenant(settings.requiredBroker(), settings.requiredSecretsToken());
  }

  @Override
  public Channel operatorApi() {
    return operator(settings.api());
  }

  @Override
  public Channel operatorBroker() {
    return operator(settings.requiredBroker());
  }

  private Channel tenant(String target, String token) {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    return ClientInterceptors.intercept(
        channel(target, trust()), MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  private Channel operator(String target) {
    try {
      return channel(
          target,
          trust()
              .keyManager(
                  settings.operator().resolve("operator.pem").toFile(),
                  settings.operator().resolve("operator.key").toFile()));
    } catch (IOException e) {
      throw new ClientException(
          "cannot read the operator's certificate in %s: tokens are root's to make, or set COFFERDAM_OPERATOR"
              .formatted(settings.operator()));
    }
  }

  private TlsChannelCredentials.Builder trust() {
    try {
      return TlsChannelCredentials.newBuilder().trustManager(settings.ca().toFile());
    } catch (IOException e) {
      throw new ClientException(
          "cannot read the mesh's CA in %s: set COFFERDAM_CA, see ./cofferdam env"
              .formatted(settings.ca()));
    }
  }

  private ManagedChannel channel(String target, TlsChannelCredentials.Builder credentials) {
    ManagedChannel channel = Grpc.newChannelBuilder(target, credentials.build()).build();
    open.add(channel);
    return channel;
  }

  @Override
  public void close() {
    open.forEach(ManagedChannel::shutdownNow);
  }
}
