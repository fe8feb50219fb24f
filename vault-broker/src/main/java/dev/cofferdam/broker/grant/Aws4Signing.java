package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.broker.sign.Aws4;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.regex.Pattern;

/**
 * By AWS Signature Version 4.
 *
 * @param scope the region and service to sign for
 * @param payload of {@code x-amz-content-sha256}
 */
record Aws4Signing(Target.Aws4 scope, String target, List<Aws4.Header> headers, String payload)
    implements Signing {
  /** What AWS itself allows. */
  private static final Duration TOLERANCE = Duration.ofMinutes(15);

  private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("uuuuMMdd'T'HHmmss'Z'");
  private static final Pattern PAYLOAD =
      Pattern.compile("[0-9a-f]{64}|UNSIGNED-PAYLOAD|STREAMING-UNSIGNED-PAYLOAD-TRAILER");

  Aws4Signing {
    headers = List.copyOf(headers);
    Signing.check(target, headers);
    if (!PAYLOAD.matcher(payload).matches()) {
      throw Signing.invalid("the hash of the body is none");
    }
    if (headers.stream().anyMatch(header -> header.name().equals(Aws4.TOKEN))) {
      throw Signing.invalid("the session token is the broker's to add");
    }
    if (headers.stream().filter(header -> header.name().equals("x-amz-date")).count() != 1) {
      throw Signing.invalid("the headers to sign lack x-amz-date, or have it twice");
    }
  }

  @Override
  public boolean timely(Instant now) {
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
}
