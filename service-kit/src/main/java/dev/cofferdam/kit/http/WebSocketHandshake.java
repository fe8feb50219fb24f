package dev.cofferdam.kit.http;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;

/**
 * How an HTTP/1.1 connection becomes a WebSocket: RFC 6455 section 4, and nothing else does. What
 * HTTP/2 says instead (RFC 8441) is turned into that and back at its edges, so that both are judged
 * in one form.
 */
public final class WebSocketHandshake {
  private static final String GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

  private WebSocketHandshake() {}

  static boolean asks(String method, Headers headers) {
    return method.equals("GET")
        && only(headers, "upgrade").filter("websocket"::equalsIgnoreCase).isPresent()
        && headers.lists("connection", "upgrade")
        && only(headers, "sec-websocket-version").filter("13"::equals).isPresent()
        && only(headers, "sec-websocket-key").filter(WebSocketHandshake::isKey).isPresent()
        && !headers.has("content-length")
        && !headers.has("transfer-encoding");
  }

  /** Whether this is such a request; one that only looks like it was refused before. */
  public static boolean asked(RequestHead head) {
    return head.headers().has("upgrade");
  }

  private static Optional<String> only(Headers headers, String name) {
    List<String> all = headers.all(name);
    return all.size() == 1 ? Optional.of(all.getFirst().strip()) : Optional.empty();
  }

  private static boolean isKey(String key) {
    return key.matches("[A-Za-z0-9+/]{21}[AQgw]==");
  }

  /**
   * What goes on to the server.
   *
   * @param endToEnd headers of the client's request
   */
  public static Headers request(Headers endToEnd) {
    return endToEnd.with("connection", "Upgrade").with("upgrade", "websocket");
  }

  /**
   * What is wrong with an answer of 101; empty where it is the one that the request asks for.
   *
   * @param head of the request, as the server was given it
   */
  public static Optional<String> wrong(RequestHead head, ResponseHead answer) {
    Headers headers = answer.headers();
    if (only(headers, "upgrade").filter("websocket"::equalsIgnoreCase).isEmpty()
        || !headers.lists("connection", "upgrade")) {
      return Optional.of("its 101 leads to something else than a WebSocket");
    }
    String accept = accept(head.headers().first("sec-websocket-key").orElse(""));
    if (only(headers, "sec-websocket-accept").filter(accept::equals).isEmpty()) {
      return Optional.of("its 101 does not answer to the key of the request");
    }
    if (headers.has("sec-websocket-extensions")
        && !head.headers().has("sec-websocket-extensions")) {
      return Optional.of("its 101 has an extension that was not asked for");
    }
    List<String> chosen = headers.all("sec-websocket-protocol");
    boolean asked =
        head.headers().all("sec-websocket-protocol").stream()
            .flatMap(offered -> Arrays.stream(offered.split(",")))
            .map(String::strip)
            .toList()
            .containsAll(chosen);
    if (chosen.size() > 1 || !asked) {
      return Optional.of("its 101 has a subprotocol that was not asked for");
    }
    return Optional.empty();
  }

  /** The headers of an extended CONNECT as those of the request that it stands for. */
  static Headers fromConnect(Headers headers, RandomGenerator random) {
    byte[] key = new byte[16];
    random.nextBytes(key);
    return headers
        .without("connection", "sec-websocket-key")
        .with("connection", "Upgrade")
        .with("upgrade", "websocket")
        .with("sec-websocket-key", Base64.getEncoder().encodeToString(key));
  }

  /** The headers of what answers an extended CONNECT by 2xx, as those of the 101 it stands for. */
  public static Headers from2xx(Headers headers, String key) {
    return headers
        .without("connection", "upgrade", "content-length", "sec-websocket-accept")
        .with("connection", "Upgrade")
        .with("upgrade", "websocket")
        .with("sec-websocket-accept", accept(key));
  }

  /** What only HTTP/1.1 says of either. */
  public static final List<String> OF_HTTP1 =
      List.of("connection", "upgrade", "sec-websocket-key", "sec-websocket-accept");

  /**
   * What the client gets of a right one.
   *
   * @param endToEnd headers of the server's answer
   */
  public static ResponseHead answer(Headers endToEnd) {
    return new ResponseHead(
        101,
        endToEnd
            .without("content-length")
            .with("connection", "Upgrade")
            .with("upgrade", "websocket"),
        0);
  }

  static String accept(String key) {
    try {
      return Base64.getEncoder()
          .encodeToString(
              MessageDigest.getInstance("SHA-1")
                  .digest((key.strip() + GUID).getBytes(StandardCharsets.US_ASCII)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-1", e);
    }
  }
}
