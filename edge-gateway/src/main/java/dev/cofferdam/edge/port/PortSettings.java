package dev.cofferdam.edge.port;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * What ports' URLs are served with.
 *
 * @param tls empty: in clear
 * @param domain what follows {@code <port>-<sandbox>.}, in lower case
 * @param publicPort at which the world finds the listener; 0: where it listens
 * @param headBytes of a request's and of an answer's head
 * @param connections of clients at a time
 * @param perSandbox requests at a time
 * @param perToken requests at a time
 * @param headTime from a head's first byte, or a connection's begin, to the head's end
 * @param keepAlive how long a connection may be without a request
 * @param connect for a sandbox to wake, and its port to take the connection
 * @param stall how long a client may leave a body unfinished, or an answer unread
 * @param idle how long an exchange may be without a byte either way
 */
public record PortSettings(
    InetSocketAddress listen,
    Optional<TlsFiles> tls,
    String domain,
    int publicPort,
    int headBytes,
    int connections,
    int perSandbox,
    int perToken,
    Duration headTime,
    Duration keepAlive,
    Duration connect,
    Duration stall,
    Duration idle) {
  /**
   * PEM files.
   *
   * @param certificate the server's own first
   * @param key PKCS #8
   */
  public record TlsFiles(Path certificate, Path key) {}
}
