package dev.cofferdam.edge.port;

import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/**
 * The cookie in which a browser keeps the key of a port. Over TLS its name makes browsers take it
 * from nobody but that host itself (RFC 6265bis section 4.1.3.2): another port's page cannot set
 * it.
 */
final class KeyCookie {
  private static final String PLAIN = "cofferdam-port";
  private static final String SECURE = "__Host-" + PLAIN;

  private KeyCookie() {}

  /**
   * @param seconds how long the key is good for; empty: until the browser ends
   */
  static String set(String key, boolean secure, OptionalLong seconds) {
    return (secure ? SECURE : PLAIN)
        + "="
        + key
        + "; Path=/; HttpOnly; SameSite=Lax"
        + (secure ? "; Secure" : "")
        + (seconds.isPresent() ? "; Max-Age=" + seconds.getAsLong() : "");
  }

  /** Of those of either name. */
  static List<String> values(Headers headers) {
    List<String> values = new ArrayList<>();
    for (String line : headers.all("cookie")) {
      for (String crumb : line.split(";", -1)) {
        if (isOurs(crumb)) {
          values.add(crumb.substring(crumb.indexOf('=') + 1).strip());
        }
      }
    }
    return values;
  }

  static Headers without(Headers headers) {
    if (values(headers).isEmpty()) {
      return headers;
    }
    List<Header> left = new ArrayList<>();
    for (Header line : headers.lines()) {
      if (!line.is("cookie")) {
        left.add(line);
        continue;
      }
      List<String> crumbs = new ArrayList<>();
      for (String crumb : line.value().split(";", -1)) {
        if (!isOurs(crumb)) {
          crumbs.add(crumb.strip());
        }
      }
      if (!crumbs.isEmpty()) {
        left.add(new Header(line.name(), String.join("; ", crumbs)));
      }
    }
    return new Headers(left);
  }

  /** Whether a crumb, or what a program sets, has one of the names. */
  static boolean isOurs(String crumb) {
    int equals = crumb.indexOf('=');
    String name =
        (equals < 0 ? crumb.split(";", 2)[0] : crumb.substring(0, equals))
            .strip()
            .toLowerCase(Locale.ROOT);
    return name.equals(PLAIN) || name.equals(SECURE.toLowerCase(Locale.ROOT));
  }
}
