package dev.cofferdam.edge.session;

/**
 * What is known of the SDK at the other end.
 *
 * @param messageBytes of one message that it takes
 * @param waitsForAnswers whether calls that have none when the socket closes wait for ever
 */
public record Peer(int messageBytes, boolean waitsForAnswers) {
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
