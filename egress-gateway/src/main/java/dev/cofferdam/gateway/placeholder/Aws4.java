package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.kit.http.Header;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An {@code Authorization} of AWS Signature Version 4, as SDKs write it. Its signature says nothing
 * here: whoever uses a placeholder signs with a key of his own, or none.
 *
 * @param accessKeyId perhaps a placeholder
 * @param date {@code 20150830}
 * @param signedHeaders names in lower case, with semicolons between them
 */
public record Aws4(
    String accessKeyId, String date, String region, String service, String signedHeaders) {
  private static final String SCHEME = "AWS4-HMAC-SHA256 ";

  private static final Pattern VALUE =
      Pattern.compile(
          "AWS4-HMAC-SHA256 +Credential=([^/, ]{1,256})/([0-9]{8})/([a-z0-9][a-z0-9-]{0,63})"
              + "/([a-z0-9][a-z0-9-]{0,63})/aws4_request, *SignedHeaders=([a-z0-9;._-]{1,8192})"
              + ", *Signature=[0-9a-f]{64}");

  /** Empty for another header, another scheme, or another form than that of SDKs. */
  public static Optional<Aws4> of(Header header) {
    if (!header.is("authorization") || !header.value().startsWith(SCHEME)) {
      return Optional.empty();
    }
    Matcher matcher = VALUE.matcher(header.value());
    return matcher.matches()
        ? Optional.of(
            new Aws4(
                matcher.group(1),
                matcher.group(2),
                matcher.group(3),
                matcher.group(4),
                matcher.group(5)))
        : Optional.empty();
  }

  /** Whether it is a service that takes bodies which nobody signed. */
  boolean ofS3() {
    return service.equals("s3") || service.startsWith("s3-") || service.equals("s3express");
  }

  /** The access key's id, which is a placeholder or is not. */
  Part part() {
    return Part.of(new Target.Aws4(region, service), accessKeyId);
  }
}
