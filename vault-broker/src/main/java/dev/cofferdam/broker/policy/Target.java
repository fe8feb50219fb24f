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

  /** A segment of the path, or a part of one (RFC 3986, section 3.3). */
  record Path() implements Target {
    @Override
    public String text() {
      return "path";
    }
  }

  /** A text message of a WebSocket (RFC 6455, section 5.6). */
  record WebSocketFrame() implements Target {
    @Override
    public String text() {
      return "websocket-frame";
    }
  }

  /**
   * The value of what has a name: a parameter of the query, a field of a form.
   *
   * @param name as it is once decoded, 1 to {@value #MAX_NAME} visible characters of ASCII
   */
  record Named(Kind kind, String name) implements Target {
    /** Where the name stands. */
    public enum Kind {
      QUERY,
      FORM,
      MULTIPART
    }

    public Named {
      if (!visible(name, MAX_NAME)) {
        throw invalid(
            prefix(kind) + name, "expected a name of 1 to 256 visible characters of ASCII");
      }
    }

    private static String prefix(Kind kind) {
      return kind.name().toLowerCase(Locale.ROOT) + ":";
    }

    @Override
    public String text() {
      return prefix(kind) + name;
    }
  }

  /**
   * A string in a JSON body.
   *
   * @param pointer RFC 6901; at most {@value #MAX_POINTER} visible characters of ASCII
   */
  record Json(String pointer) implements Target {
    private static final Pattern POINTER = Pattern.compile("(/([^/~]|~[01])*)+");

    public Json {
      if (!visible(pointer, MAX_POINTER) || !POINTER.matcher(pointer).matches()) {
        throw invalid(
            "json:" + pointer, "expected a JSON pointer (RFC 6901) of visible characters of ASCII");
      }
    }

    @Override
    public String text() {
      return "json:" + pointer;
    }
  }

  /**
   * The access key's id in an {@code Authorization} of AWS Signature Version 4, which is signed
   * anew by the broker.
   *
   * @param region {@code *} for any
   * @param service {@code *} for any
   */
  record Aws4(String region, String service) implements Target {
    private static final Pattern PART = Pattern.compile("\\*|[a-z0-9][a-z0-9-]{0,63}");

    public Aws4 {
      if (!PART.matcher(region).matches() || !PART.matcher(service).matches()) {
        throw invalid(
            "aws4:" + region + "/" + service,
            "expected aws4:<region>/<service> in lower case, each of them * for any");
      }
    }

    private static Aws4 parse(String scope) {
      int slash = scope.indexOf('/');
      return new Aws4(scope.substring(0, Math.max(slash, 0)), scope.substring(slash + 1));
    }

    @Override
    public String text() {
      return "aws4:" + region + "/" + service;
    }

    @Override
    public boolean covers(Target other) {
      return other instanceof Aws4(String otherRegion, String otherService)
          && (region.equals("*") || region.equals(otherRegion))
          && (service.equals("*") || service.equals(otherService));
    }
  }

  /**
   * A header in which the placeholder stands alone, and into which a signature is written that the
   * broker makes.
   *
   * @param header as of {@link Header}
   */
  record Hmac(String header) implements Target {
    public Hmac {
      var _ = new Header(header);
    }

    @Override
    public String text() {
      return "hmac:" + header;
    }
  }

  /**
   * The same of a parameter of the query.
   *
   * @param name as of {@link Named}
   */
  record HmacQuery(String name) implements Target {
    public HmacQuery {
      var _ = new Named(Named.Kind.QUERY, name);
    }

    @Override
    public String text() {
      return "hmac-query:" + name;
    }
  }

  /** Whether requests are signed with the value, which then is never handed out. */
  default boolean signed() {
    return this instanceof Aws4 || signedByHmac();
  }

  /** The same, over what a binding says. */
  default boolean signedByHmac() {
    return this instanceof Hmac || this instanceof HmacQuery;
  }

  /** Of a name. */
  int MAX_NAME = 256;

  /** Of a pointer. */
  int MAX_POINTER = 512;

  /**
   * Header names are taken in any case, for they have none (RFC 9110, section 5.1); all other names
   * as they are.
   */
  static Target parse(String text) {
    String kind = text.substring(0, text.indexOf(':') + 1).toLowerCase(Locale.ROOT);
    String name = text.substring(kind.length());
    return switch (kind) {
      case "header:" ->
          name.equals("*") ? new AnyHeader() : new Header(name.toLowerCase(Locale.ROOT));
      case "basic:" -> basic(text, name.toLowerCase(Locale.ROOT));
      case "query:" -> new Named(Named.Kind.QUERY, name);
      case "form:" -> new Named(Named.Kind.FORM, name);
      case "multipart:" -> new Named(Named.Kind.MULTIPART, name);
      case "json:" -> new Json(name);
      case "aws4:" -> Aws4.parse(name);
      case "hmac:" -> new Hmac(name.toLowerCase(Locale.ROOT));
      case "hmac-query:" -> new HmacQuery(name);
      default ->
          switch (text.toLowerCase(Locale.ROOT)) {
            case "path" -> new Path();
            case "websocket-frame" -> new WebSocketFrame();
            default -> throw invalid(text, EXPECTED);
          };
    };
  }

  /** What a target may be. */
  String EXPECTED =
      "expected header:<name>, header:*, basic:username, basic:password, query:<name>, path,"
          + " json:<pointer>, form:<field>, multipart:<field>, websocket-frame,"
          + " aws4:<region>/<service>, hmac:<header> or hmac-query:<parameter>";

  private static Target basic(String text, String half) {
    return switch (half) {
      case "username" -> new Basic(Basic.Part.USERNAME);
      case "password" -> new Basic(Basic.Part.PASSWORD);
      default -> throw invalid(text, EXPECTED);
    };
  }

  private static boolean visible(String text, int most) {
    return !text.isEmpty()
        && text.length() <= most
        && text.chars().allMatch(c -> c > 0x20 && c < 0x7f);
  }

  private static Refusal invalid(String text, String expected) {
    String shown = text.replaceAll("[^\\x20-\\x7e]", "?");
    return new Refusal(
        ErrorReason.ERROR_REASON_BINDING_INVALID,
        "a binding has the target '%s', %s"
            .formatted(shown.length() <= 80 ? shown : shown.substring(0, 80) + "…", expected));
  }
}
