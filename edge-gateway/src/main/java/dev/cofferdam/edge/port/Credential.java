package dev.cofferdam.edge.port;

import dev.cofferdam.edge.mesh.DenoToken;
import dev.cofferdam.kit.call.PortKeys;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * By what a request is let in, and what of it may not go on: no program in a sandbox may see a
 * token or a key of ours, whether it was looked at or not.
 *
 * @param token empty where there is none that can be one
 * @param left the request without any
 */
record Credential(Kind kind, Optional<DenoToken> token, RequestHead left) {
  /** Where it was. */
  enum Kind {
    /** In a header that only who has it can write. */
    HEADER,
    LINK,
    /** Sent by a browser, whoever has it do so. */
    COOKIE,
    /** Nowhere: as everybody. */
    NONE
  }

  private static final String SCHEME = "bearer ";
  private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9_-]{1,256}");
  private static final Pattern KEY = Pattern.compile(PortKeys.PREFIX + "[A-Za-z0-9_-]{1,128}");

  /** Of all forms in which callers write what is ours. */
  private static final List<String> OURS = List.of("cfd_", "ddo_", PortKeys.PREFIX);

  /**
   * {@code Proxy-Authorization} is for us alone. Without it {@code Authorization} is, where it
   * holds what is ours, else it is for the sandbox.
   */
  static Credential of(RequestHead head, PortName name) {
    Headers headers = head.headers();
    List<String> forProxy = headers.all("proxy-authorization");
    List<String> authorization = headers.all("authorization");
    List<String> links = SharedLink.keys(head.target());
    List<String> cookies = KeyCookie.values(headers);
    RequestHead left = without(head);
    if (!forProxy.isEmpty()) {
      return new Credential(Kind.HEADER, only(forProxy), left);
    }
    if (headers.lines().stream().anyMatch(Credential::isOurs)) {
      return new Credential(Kind.HEADER, only(authorization), left);
    }
    if (!links.isEmpty()) {
      return new Credential(Kind.LINK, key(links), left);
    }
    if (!cookies.isEmpty()) {
      return new Credential(Kind.COOKIE, key(cookies), left);
    }
    String everybodys = PortKeys.ofEverybody(name.sandbox(), name.port());
    return new Credential(
        Kind.NONE, Optional.of(new DenoToken(everybodys, Optional.empty())), left);
  }

  /** A request as a program may see it. */
  static RequestHead without(RequestHead head) {
    return head.with(without(head.headers())).withTarget(SharedLink.without(head.target()));
  }

  private static Headers without(Headers headers) {
    return KeyCookie.without(
        headers
            .without("proxy-authorization")
            .without(Credential::isOurs)
            // Of the page before, which may have been a link.
            .without(line -> line.is("referer") && line.value().contains(PortKeys.PREFIX)));
  }

  private static boolean isOurs(Header header) {
    if (!header.is("authorization")) {
      return false;
    }
    String value = header.value().toLowerCase(Locale.ROOT);
    return OURS.stream().anyMatch(value::contains);
  }

  private static Optional<DenoToken> key(List<String> values) {
    return values.size() == 1 && KEY.matcher(values.getFirst()).matches()
        ? Optional.of(new DenoToken(values.getFirst(), Optional.empty()))
        : Optional.empty();
  }

  private static Optional<DenoToken> only(List<String> values) {
    if (values.size() != 1
        || !values.getFirst().regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
      return Optional.empty();
    }
    return DenoToken.ofHeader(values.getFirst())
        .or(() -> {
          String token = values.getFirst().substring(SCHEME.length()).strip();
          return TOKEN.matcher(token).matches()
              ? Optional.of(new DenoToken(token, Optional.empty()))
              : Optional.empty();
        });
  }
}
