package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.broker.sign.Aws4;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.regex.Pattern;

/**
 * What is to be signed of a request that is about to leave, but for what its question says anyway.
 *
 * @param scope the region and service to sign for
 * @param target path and query, as they will be sent
 * @param headers those to sign; names in lower case, one character of a value for each byte
 * @param payload of {@code x-amz-content-sha256}
 */
public record Signing(Target.Aws4 scope, String target, List<Aws4.Header> headers, String payload) {
  /** What AWS itself allows. */
  private static final Duration TOLERANCE = Duration.ofMinutes(15);

  private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("uuuuMMdd'T'HHmmss'Z'");
  private static final Pattern NAME = Pattern.compile("[!#$%&'*+.^_`|~0-9a-z-]{1,256}");
  private static final Pattern PAYLOAD =
      Pattern.compile("[0-9a-f]{64}|UNSIGNED-PAYLOAD|STREAMING-UNSIGNED-PAYLOAD-TRAILER");

  public Signing {
    headers = List.copyOf(headers);
    if (!target.startsWith("/") && !target.equals("*")) {
      throw invalid("the target to sign is none, expected a path and query");
    }
    if (!PAYLOAD.matcher(payload).matches()) {
      throw invalid("the hash of the body is none");
    }
    for (Aws4.Header header : headers) {
      if (!NAME.matcher(header.name()).matches()
          || header.value().chars().anyMatch(c -> c == '\r' || c == '\n' || c == 0 || c > 0xff)) {
        throw invalid("a header to sign is none");
      }
      if (header.name().equals(Aws4.TOKEN)) {
        throw invalid("the session token is the broker's to add");
      }
    }
    if (headers.stream().filter(header -> header.name().equals("host")).count() != 1
        || headers.stream().filter(header -> header.name().equals("x-amz-date")).count() != 1) {
      throw invalid("the headers to sign lack host or x-amz-date, or have one twice");
    }
  }

  /** Refuses to sign another request than the one that goes on record. */
  void checkOf(String host, String path) {
    String named = header("host");
    if (!named.equals(host) && !named.matches(Pattern.quote(host) + ":[0-9]{1,5}")) {
      throw invalid("the host to sign is not the request's");
    }
    int query = target.indexOf('?');
    if (!(query < 0 ? target : target.substring(0, query)).equals(path)) {
      throw invalid("the path to sign is not the request's");
    }
  }

  /** Whether its date is near enough, so that nobody gets a signature for times to come. */
  boolean timely(Instant now) {
    try {
      Instant date = LocalDateTime.parse(header("x-amz-date"), DATE).toInstant(ZoneOffset.UTC);
      return Duration.between(date, now).abs().compareTo(TOLERANCE) <= 0;
    } catch (DateTimeException e) {
      return false;
    }
  }

  Aws4.Input input(String method) {
    return new Aws4.Input(
        method, target, headers, payload, header("x-amz-date"), scope.region(), scope.service());
  }

  private String header(String name) {
    return headers.stream()
        .filter(header -> header.name().equals(name))
        .findFirst()
        .map(Aws4.Header::value)
        .orElseThrow();
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
