package dev.cofferdam.kit.http;

import static dev.cofferdam.kit.http.MalformedException.bad;

import java.util.function.IntPredicate;

/** What every request has to keep to, in whatever version it came. */
public final class RequestRules {
  private static final int MAX_METHOD = 32;

  private RequestRules() {}

  static void check(String method, String target, Headers headers) throws MalformedException {
    if (method.length() > MAX_METHOD || !isToken(method)) {
      throw bad("a method that is no token");
    }
    if (method.equals("CONNECT")) {
      throw new MalformedException(
          MalformedException.Reason.CONNECT, "CONNECT: this is no explicit proxy");
    }
    boolean asterisk = target.equals("*") && method.equals("OPTIONS");
    if (!asterisk && !target.startsWith("/")) {
      throw bad("a request target that is not a path");
    }
    if (!all(target, c -> c > 0x20 && c < 0x7f && c != '#')) {
      throw bad("a character in the request target that has to be escaped");
    }
    if (headers.has("upgrade") && !WebSocketHandshake.asks(method, headers)) {
      throw new MalformedException(
          MalformedException.Reason.UPGRADE,
          "an upgrade to another protocol, or none as a WebSocket begins");
    }
    for (Header header : headers.lines()) {
      if (!isToken(header.name())) {
        throw bad("a header name that is no token");
      }
      if (!isValue(header.value())) {
        throw bad("a control character in a header");
      }
    }
  }

  /** RFC 9110 section 5.5. */
  public static boolean isValue(String text) {
    return all(text, RequestRules::inValue);
  }

  private static boolean inValue(int c) {
    return c == '\t' || (c >= 0x20 && c != 0x7f && c <= 0xff);
  }

  /** RFC 9110 section 5.6.2. */
  public static boolean isToken(String text) {
    return !text.isEmpty() && all(text, RequestRules::inToken);
  }

  private static boolean inToken(int c) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || "!#$%&'*+-.^_`|~".indexOf(c) >= 0;
  }

  /** Without a stream: this is asked of every character of every request. */
  private static boolean all(String text, IntPredicate permitted) {
    for (int i = 0; i < text.length(); i++) {
      if (!permitted.test(text.charAt(i))) {
        return false;
      }
    }
    return true;
  }
}
