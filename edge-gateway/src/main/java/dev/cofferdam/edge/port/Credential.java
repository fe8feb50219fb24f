package dev.cofferdam.edge.port;

import dev.cofferdam.edge.mesh.DenoToken;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * By what a request is let in, and what of it may not go on: no program in a sandbox may see a
 * token of ours, whether it was looked at or not.
 *
 * @param token empty where there is none
 * @param left the request's headers without it
 */
record Credential(Optional<DenoToken> token, Headers left) {
  private static final String SCHEME = "bearer ";
  private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9_-]{1,256}");

  /** Of both forms in which callers write our tokens. */
  private static final List<String> OURS = List.of("cfd_", "ddo_");

  /**
   * {@code Proxy-Authorization} is for us alone. Where there is one, {@code Authorization} is for
   * the sandbox.
   */
  static Credential of(Headers headers) {
    List<String> forProxy = headers.all("proxy-authorization");
    Headers left = headers.without("proxy-authorization").without(Credential::isOurs);
    if (!forProxy.isEmpty()) {
      return new Credential(only(forProxy), left);
    }
    return new Credential(only(headers.all("authorization")), left.without("authorization"));
  }

  private static boolean isOurs(Header header) {
    if (!header.is("authorization")) {
      return false;
    }
    String value = header.value().toLowerCase(Locale.ROOT);
    return OURS.stream().anyMatch(value::contains);
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
