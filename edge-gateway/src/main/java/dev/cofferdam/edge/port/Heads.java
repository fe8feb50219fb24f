package dev.cofferdam.edge.port;

import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.WebSocketHandshake;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/** What goes on of heads, either way. */
final class Heads {
  /** By which a client tells an answer of the edge's own from one of the sandbox's. */
  static final String ERROR = "cofferdam-error";

  /** What a client might have the sandbox take for our word. */
  private static final Set<String> SAID_BY_US = Set.of("forwarded", "x-real-ip");

  private static final String FORWARDED = "x-forwarded-";

  /** A cookie for the whole domain would be sent to the sandboxes of others. */
  private static final Pattern COOKIE_DOMAIN =
      Pattern.compile("(?i);\\s*domain\\s*(=[^;]*)?(?=;|$)");

  private Heads() {}

  /**
   * @param head without what let the request in
   * @param client its address
   * @param scheme {@code http} or {@code https}
   */
  static RequestHead toSandbox(RequestHead head, String client, String scheme) {
    Headers headers =
        head.headers()
            .endToEnd()
            .without(Heads::saidByUs)
            .with("X-Forwarded-For", client)
            .with("X-Forwarded-Proto", scheme)
            .with("X-Forwarded-Host", head.authority());
    return head.with(
        WebSocketHandshake.asked(head)
            ? WebSocketHandshake.request(headers)
            : headers.with("Connection", "close"));
  }

  /** CGI and its kin read {@code X_Forwarded_For} as the same header. */
  private static boolean saidByUs(Header header) {
    String name = header.name().toLowerCase(Locale.ROOT).replace('_', '-');
    return name.startsWith(FORWARDED) || SAID_BY_US.contains(name);
  }

  static Headers toClient(Headers answer) {
    // Alt-Svc would lead a browser past the edge.
    List<Header> lines =
        new ArrayList<>(
            answer
                .endToEnd()
                .without("alt-svc", ERROR)
                .without(line -> line.is("set-cookie") && KeyCookie.isOurs(line.value()))
                .lines());
    lines.replaceAll(line ->
        line.is("set-cookie")
            ? new Header(line.name(), COOKIE_DOMAIN.matcher(line.value()).replaceAll(""))
            : line);
    return new Headers(lines);
  }
}
