package dev.cofferdam.kit.http;

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
  public String path() {
    int query = target.indexOf('?');
    return query < 0 ? target : target.substring(0, query);
  }

  public RequestHead with(Headers other) {
    return new RequestHead(
        method, authority, target, other, bodyLength, keepAlive, expectsContinue);
  }

  public RequestHead withTarget(String other) {
    return new RequestHead(
        method, authority, other, headers, bodyLength, keepAlive, expectsContinue);
  }

  public RequestHead withAuthority(String other) {
    return new RequestHead(method, other, target, headers, bodyLength, keepAlive, expectsContinue);
  }

  public RequestHead withBodyLength(long length) {
    return new RequestHead(method, authority, target, headers, length, keepAlive, expectsContinue);
  }
}
