package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/** A part of a request that may hold a secret. */
public sealed interface Target {
  /** As written in a binding. */
  String text();

  /**
   * Whether a use in the other, which a gateway names and which is never {@code header:*}, is in
   * this.
   */
  default boolean covers(Target other) {
    return equals(other);
  }

  /**
   * A header's value.
   *
   * @param name lower case, a token (RFC 9110, section 5.6.2) that neither frames nor routes the
   *     request
   */
  record Header(String name) implements Target {
    // Without the *, which a token may have but which would read like a pattern here.
    private static final Pattern TOKEN = Pattern.compile("[!#$%&'+.^_`|~0-9a-z-]{1,256}");
    // Framing, routing and hop-by-hop: what the gateway itself writes.
    private static final Set<String> FORBIDDEN =
        Set.of(
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "te",
            "trailer",
            "upgrade",
            "expect",
            "content-encoding",
            "accept-encoding",
            "range");

    public Header {
      if (!TOKEN.matcher(name).matches()) {
        throw invalid("header:" + name, "expected a header's name or header:*");
      }
      if (FORBIDDEN.contains(name)) {
        throw invalid("header:" + name, "which frames or routes a request and is never a target");
      }
    }

    @Override
    public String text() {
      return "header:" + name;
    }
  }

  /** Every header that may be a target at all. */
  record AnyHeader() implements Target {
    @Override
    public String text() {
      return "header:*";
    }

    @Override
    public boolean covers(Target other) {
      return other instanceof Header || other instanceof AnyHeader;
    }
  }

  /** A half of the credentials of {@code Authorization: Basic} (RFC 7617). */
  record Basic(Part part) implements Target {
    /** Which half. */
    public enum Part {
      USERNAME,
      PASSWORD
    }

    @Override
    public String text() {
      return "basic:" + part.name().toLowerCase(Locale.ROOT);
    }
  }

  /** Header names are taken in any case, for they have none (RFC 9110, section 5.1). */
  static Target parse(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    return switch (lower) {
      case "header:*" -> new AnyHeader();
      case "basic:username" -> new Basic(Basic.Part.USERNAME);
      case "basic:password" -> new Basic(Basic.Part.PASSWORD);
      default -> {
        if (!lower.startsWith("header:")) {
          throw invalid(text, "expected header:<name>, header:*, basic:username or basic:password");
        }
        yield new Header(lower.substring("header:".length()));
      }
    };
  }

  private static Refusal invalid(String text, String expected) {
    String shown = text.replaceAll("[^\\x20-\\x7e]", "?");
    return new Refusal(
        ErrorReason.ERROR_REASON_BINDING_INVALID,
        "a binding has the target '%s', %s"
            .formatted(shown.length() <= 80 ? shown : shown.substring(0, 80) + "…", expected));
  }
}
