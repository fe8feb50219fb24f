package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.ResponseHead;
import java.util.List;
import java.util.Locale;

/**
 * What is left of a request and its answer under a rule that lets them through as a stranger's:
 * nothing by which the one who asks is known.
 */
final class Downgrade {
  /** In the names of headers that carry credentials, whoever invented them. */
  private static final List<String> CREDENTIALS =
      List.of(
          "authorization",
          "cookie",
          "token",
          "secret",
          "session",
          "credential",
          "password",
          "passwd",
          "api-key",
          "apikey",
          "access-key",
          "auth-key",
          "x-auth",
          "signature");

  private Downgrade() {}

  static RequestHead of(RequestHead head) {
    return head.with(head.headers().without(Downgrade::isCredential));
  }

  static ResponseHead of(ResponseHead answer) {
    Headers left = answer.headers().without(header -> named(header, List.of("set-cookie")));
    return new ResponseHead(answer.status(), left, answer.bodyLength());
  }

  private static boolean isCredential(Header header) {
    return named(header, CREDENTIALS) || !Candidates.in(header.value()).isEmpty();
  }

  private static boolean named(Header header, List<String> words) {
    String name = header.name().toLowerCase(Locale.ROOT);
    return words.stream().anyMatch(name::contains);
  }
}
