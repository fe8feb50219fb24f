package dev.cofferdam.cli;

import dev.cofferdam.v1.HmacEncoding;
import dev.cofferdam.v1.HmacHash;
import dev.cofferdam.v1.HmacSignature;
import dev.cofferdam.v1.HmacTimestamp;
import java.util.Optional;
import picocli.CommandLine.Option;

/** How requests are signed by HMAC. */
final class HmacOptions {
  /** What the options take; lower case, as all others. */
  private enum Hash {
    sha256,
    sha512
  }

  private enum Encoding {
    hex,
    base64
  }

  private enum Key {
    raw,
    hex,
    base64
  }

  private enum Timestamp {
    unix,
    unix_ms,
    rfc3339
  }

  @Option(
      names = "--hmac-header",
      paramLabel = "HEADER",
      description =
          "Sign requests by HMAC with the value, which then stands in none: where the placeholder"
              + " stands in this header, the signature is written. In place of --target.")
  private String header = "";

  @Option(
      names = "--hmac-query",
      paramLabel = "PARAMETER",
      description =
          "The same, in a parameter of the query, without which {query} and {target} are.")
  private String query = "";

  @Option(
      names = "--hmac-message",
      paramLabel = "TEMPLATE",
      description =
          "What is signed: text with {method}, {host}, {path}, {query}, {target}, {header:NAME},"
              + " {body}, {body:sha256}, {timestamp}; \\n is a line's end.")
  private String message = "";

  @Option(
      names = "--hmac-value",
      paramLabel = "TEMPLATE",
      description =
          "What is written: text with {signature}, perhaps {timestamp}. Default: {signature}.")
  private String value = "";

  @Option(names = "--hmac-hash", description = "${COMPLETION-CANDIDATES}. Default: sha256.")
  private Hash hash = Hash.sha256;

  @Option(
      names = "--hmac-encoding",
      description = "Of the signature: ${COMPLETION-CANDIDATES}. Default: hex.")
  private Encoding encoding = Encoding.hex;

  @Option(
      names = "--hmac-key",
      description =
          "What the value is written in: ${COMPLETION-CANDIDATES}. Default: raw, its bytes are the"
              + " key.")
  private Key key = Key.raw;

  @Option(names = "--hmac-timestamp", description = "${COMPLETION-CANDIDATES}. Default: unix.")
  private Timestamp timestamp = Timestamp.unix;

  @Option(
      names = "--hmac-timestamp-header",
      paramLabel = "HEADER",
      description = "Where {timestamp} is told.")
  private String timestampHeader = "";

  Optional<HmacSignature> hmac() {
    if (header.isEmpty() && query.isEmpty()) {
      if (!message.isEmpty() || !value.isEmpty() || !timestampHeader.isEmpty()) {
        throw new ClientException("--hmac-... without --hmac-header or --hmac-query");
      }
      return Optional.empty();
    }
    return Optional.of(
        HmacSignature.newBuilder()
            .setHeader(header)
            .setQuery(query)
            .setMessage(message.replace("\\n", "\n"))
            .setValue(value)
            .setHash(hash == Hash.sha256 ? HmacHash.HMAC_HASH_SHA256 : HmacHash.HMAC_HASH_SHA512)
            .setEncoding(
                encoding == Encoding.hex
                    ? HmacEncoding.HMAC_ENCODING_HEX
                    : HmacEncoding.HMAC_ENCODING_BASE64)
            .setKey(
                switch (key) {
                  case raw -> HmacEncoding.HMAC_ENCODING_UNSPECIFIED;
                  case hex -> HmacEncoding.HMAC_ENCODING_HEX;
                  case base64 -> HmacEncoding.HMAC_ENCODING_BASE64;
                })
            .setTimestamp(
                switch (timestamp) {
                  case unix -> HmacTimestamp.HMAC_TIMESTAMP_UNIX_SECONDS;
                  case unix_ms -> HmacTimestamp.HMAC_TIMESTAMP_UNIX_MILLIS;
                  case rfc3339 -> HmacTimestamp.HMAC_TIMESTAMP_RFC3339;
                })
            .setTimestampHeader(timestampHeader)
            .build());
  }
}
