package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.egress.SigningTemplate;
import dev.cofferdam.kit.egress.SigningTemplate.Variable;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.HmacEncoding;
import dev.cofferdam.v1.HmacHash;
import dev.cofferdam.v1.HmacSignature;
import dev.cofferdam.v1.HmacTimestamp;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/**
 * How requests are signed with a secret's value by HMAC (RFC 2104).
 *
 * @param spec as its owner wrote it, with what he left out filled in
 */
public record Hmac(HmacSignature spec) {
  /** What may be signed. */
  public static final Set<Variable> SIGNED =
      EnumSet.complementOf(EnumSet.of(Variable.TEXT, Variable.SIGNATURE));

  private static final Set<Variable> WRITTEN = EnumSet.of(Variable.SIGNATURE, Variable.TIMESTAMP);

  public Hmac {
    spec = filled(spec);
    SigningTemplate message = template(spec.getMessage(), SIGNED);
    SigningTemplate value = template(spec.getValue(), WRITTEN);
    if (spec.getHeader().isEmpty() == spec.getQuery().isEmpty()) {
      throw invalid("has both a header and a parameter to stand in, or none, expected one");
    }
    var _ = target(spec);
    for (String header : message.headers()) {
      var _ = new Target.Header(header);
      if (header.equals(spec.getHeader()) || header.equals(spec.getTimestampHeader())) {
        throw invalid("signs the header %s, which is written with the signature".formatted(header));
      }
    }
    if (value.pieces().stream().filter(p -> p.variable() == Variable.SIGNATURE).count() != 1
        || spec.getValue().indexOf('\n') >= 0) {
      throw invalid(
          "is written as '%s', expected one line with one {signature}".formatted(spec.getValue()));
    }
    if (!spec.getTimestampHeader().isEmpty()) {
      var _ = new Target.Header(spec.getTimestampHeader());
      if (spec.getTimestampHeader().equals(spec.getHeader())) {
        throw invalid("has one header for itself and its timestamp, expected two");
      }
    }
    boolean told = !spec.getTimestampHeader().isEmpty() || value.has(Variable.TIMESTAMP);
    if (told != message.has(Variable.TIMESTAMP)) {
      throw invalid(
          told
              ? "has a timestamp that it does not sign, expected {timestamp} in the message"
              : "signs a timestamp that it does not tell, expected a header for it or"
                  + " {timestamp} in the value");
    }
  }

  private static HmacSignature filled(HmacSignature spec) {
    if (spec.getHash() == HmacHash.UNRECOGNIZED
        || spec.getEncoding() == HmacEncoding.UNRECOGNIZED
        || spec.getKey() == HmacEncoding.UNRECOGNIZED
        || spec.getTimestamp() == HmacTimestamp.UNRECOGNIZED) {
      throw invalid("has a hash, encoding or timestamp that is not known here");
    }
    HmacSignature.Builder filled =
        spec.toBuilder()
            .setHeader(spec.getHeader().toLowerCase(Locale.ROOT))
            .setTimestampHeader(spec.getTimestampHeader().toLowerCase(Locale.ROOT));
    if (spec.getHash() == HmacHash.HMAC_HASH_UNSPECIFIED) {
      filled.setHash(HmacHash.HMAC_HASH_SHA256);
    }
    if (spec.getEncoding() == HmacEncoding.HMAC_ENCODING_UNSPECIFIED) {
      filled.setEncoding(HmacEncoding.HMAC_ENCODING_HEX);
    }
    if (spec.getTimestamp() == HmacTimestamp.HMAC_TIMESTAMP_UNSPECIFIED) {
      filled.setTimestamp(HmacTimestamp.HMAC_TIMESTAMP_UNIX_SECONDS);
    }
    if (spec.getValue().isEmpty()) {
      filled.setValue("{signature}");
    }
    return filled.build();
  }

  /** Where the placeholder stands. */
  public Target target() {
    return target(spec);
  }

  private static Target target(HmacSignature spec) {
    return spec.getQuery().isEmpty()
        ? new Target.Hmac(spec.getHeader())
        : new Target.HmacQuery(spec.getQuery());
  }

  public SigningTemplate message() {
    return template(spec.getMessage(), SIGNED);
  }

  /** What is written there. */
  public SigningTemplate value() {
    return template(spec.getValue(), WRITTEN);
  }

  private static SigningTemplate template(String text, Set<Variable> allowed) {
    try {
      return SigningTemplate.parse(text, allowed);
    } catch (IllegalArgumentException e) {
      throw new Refusal(ErrorReason.ERROR_REASON_BINDING_INVALID, String.valueOf(e.getMessage()));
    }
  }

  private static Refusal invalid(String why) {
    return new Refusal(ErrorReason.ERROR_REASON_BINDING_INVALID, "the signature " + why);
  }
}
