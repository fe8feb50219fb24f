package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.broker.sign.Aws4;
import dev.cofferdam.internal.v1.RequestToSign;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What is to be signed of a request that is about to leave, but for what its question says anyway.
 */
public sealed interface Signing permits Aws4Signing, HmacSigning {
  Pattern NAME = Pattern.compile("[!#$%&'*+.^_`|~0-9a-z-]{1,256}");

  /** Empty where nothing is signed in this part of a request. */
  static Optional<Signing> of(Target part, RequestToSign toSign) {
    List<Aws4.Header> headers =
        toSign.getHeadersList().stream()
            .map(header -> new Aws4.Header(header.getName(), header.getValue()))
            .toList();
    return switch (part) {
      case Target.Aws4 scope ->
          Optional.of(
              new Aws4Signing(scope, toSign.getTarget(), headers, toSign.getPayloadSha256()));
      case Target.Hmac _, Target.HmacQuery _ ->
          Optional.of(
              new HmacSigning(
                  toSign.getTarget(), headers, toSign.getPayloadSha256(), toSign.getBody()));
      default -> Optional.empty();
    };
  }

  /** Path and query, as they will be sent. */
  String target();

  /** Those to sign; names in lower case, one character of a value for each byte. */
  List<Aws4.Header> headers();

  /** Whether its date is near enough, so that nobody gets a signature for times to come. */
  boolean timely(Instant now);

  /** Refuses to sign another request than the one that goes on record. */
  default void checkOf(String host, String path) {
    String named = header("host");
    if (!named.equals(host) && !named.matches(Pattern.quote(host) + ":[0-9]{1,5}")) {
      throw invalid("the host to sign is not the request's");
    }
    if (!path().equals(path)) {
      throw invalid("the path to sign is not the request's");
    }
  }

  default String path() {
    int query = target().indexOf('?');
    return query < 0 ? target() : target().substring(0, query);
  }

  /** The only one of this name. */
  default String header(String name) {
    List<String> values =
        headers().stream()
            .filter(header -> header.name().equals(name))
            .map(Aws4.Header::value)
            .toList();
    if (values.size() != 1) {
      throw invalid("a header to sign is not there once");
    }
    return values.getFirst();
  }

  /** What holds of every request that is signed. */
  static void check(String target, List<Aws4.Header> headers) {
    if (!target.startsWith("/") && !target.equals("*")) {
      throw invalid("the target to sign is none, expected a path and query");
    }
    for (Aws4.Header header : headers) {
      if (!NAME.matcher(header.name()).matches()
          || header.value().chars().anyMatch(c -> c == '\r' || c == '\n' || c == 0 || c > 0xff)) {
        throw invalid("a header to sign is none");
      }
    }
    if (headers.stream().filter(header -> header.name().equals("host")).count() != 1) {
      throw invalid("the headers to sign lack host, or have it twice");
    }
  }

  static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
