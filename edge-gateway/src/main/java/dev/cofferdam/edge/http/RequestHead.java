package dev.cofferdam.edge.http;

/**
 * A request without its body, in whatever version it came.
 *
 * @param authority host and port as the client wrote them, from Host or {@code :authority}
 * @param target path and query, or {@code *}
 * @param headers without Host
 * @param bodyLength of the body in bytes; 0 for none, -1 where only its end tells
 * @param keepAlive whether the client wants the connection to stay
 * @param expectsContinue the client waits for 100 before it sends the body
 */
public record RequestHead(
    String method,
    String authority,
    String target,
    Headers headers,
    long bodyLength,
    boolean keepAlive,
    boolean expectsContinue) {
  public RequestHead with(Headers other) {
    return new RequestHead(
        method, authority, target, other, bodyLength, keepAlive, expectsContinue);
  }
}
