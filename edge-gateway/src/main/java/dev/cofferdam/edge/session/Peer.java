package dev.cofferdam.edge.session;

/**
 * What is known of the SDK at the other end.
 *
 * @param messageBytes of one message that it takes
 * @param python whether it is the one for Python. Its calls that have no answer when the socket
 *     closes wait for ever; it takes lists where the other takes streams, and no data that is null
 */
public record Peer(int messageBytes, boolean python) {
  /**
   * The Python SDK opens its sockets with the {@code websockets} library's defaults: a message of
   * over 1 MiB closes them, and what waits when they close is never told.
   */
  private static final Peer PYTHON = new Peer(1 << 20, true);

  private static final Peer OTHER = new Peer(16 << 20, false);

  public static Peer ofUserAgent(String userAgent) {
    return userAgent.contains("websockets/") ? PYTHON : OTHER;
  }
}
