package dev.cofferdam.cli;

import io.grpc.Channel;

/** Channels to the two public services, each with the token that belongs there. */
public interface Connections extends AutoCloseable {
  /** The scheduler, as the tenant. */
  Channel api();

  /** The broker, as the tenant without the right to write: for {@code events}. */
  Channel audit();

  /** The broker, as the tenant that may write secrets. */
  Channel secrets();

  /** The scheduler, as the operator. */
  Channel operatorApi();

  /** The broker, as the operator. */
  Channel operatorBroker();

  /** Over TLS, opened when first asked for. Not safe for use by several threads. */
  static Connections overTls(ClientSettings settings) {
    return new TlsConnections(settings);
  }

  @Override
  void close();
}
