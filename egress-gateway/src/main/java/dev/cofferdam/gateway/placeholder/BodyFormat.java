package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.kit.http.Headers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A kind of body that may hold secrets.
 *
 * @param boundary of {@code multipart/form-data}, else empty
 */
public record BodyFormat(Kind kind, String boundary) {
  /** What bodies are told apart by. */
  public enum Kind {
    JSON,
    FORM,
    MULTIPART
  }

  private static final String TOKEN = "[!#$%&'*+.^_`|~0-9a-zA-Z-]+";

  /** RFC 9110 section 8.3.1, with at most one parameter. */
  private static final Pattern TYPE =
      Pattern.compile(
          "(%s/%s)[ \\t]*(?:;[ \\t]*(?:(%s)=(?:(%s)|\"([^\"\\\\]*)\"))?[ \\t]*)?"
              .formatted(TOKEN, TOKEN, TOKEN, TOKEN));

  /** RFC 2046 section 5.1.1. */
  private static final Pattern BOUNDARY = Pattern.compile("[0-9A-Za-z'()+_,./:=?-]{1,70}");

  /** Not the streams of gRPC, whose messages may be JSON. */
  private static final Pattern JSON = Pattern.compile("application/(json|(?!grpc)[^+]+\\+json)");

  /** Empty where the type is none of these, or one that could be read in several ways. */
  public static Optional<BodyFormat> of(Headers headers) {
    List<String> types = headers.all("content-type");
    Matcher type = TYPE.matcher(types.isEmpty() ? "" : types.getFirst().strip());
    if (types.size() != 1 || !type.matches()) {
      return Optional.empty();
    }
    String media = type.group(1).toLowerCase(Locale.ROOT);
    String parameter = type.group(2) == null ? "" : type.group(2).toLowerCase(Locale.ROOT);
    String value =
        type.group(3) != null ? type.group(3) : type.group(4) != null ? type.group(4) : "";
    if (media.equals("multipart/form-data")) {
      return parameter.equals("boundary") && BOUNDARY.matcher(value).matches()
          ? Optional.of(new BodyFormat(Kind.MULTIPART, value))
          : Optional.empty();
    }
    if (!parameter.isEmpty() && !(parameter.equals("charset") && value.equalsIgnoreCase("utf-8"))) {
      return Optional.empty();
    }
    if (media.equals("application/x-www-form-urlencoded")) {
      return Optional.of(new BodyFormat(Kind.FORM, ""));
    }
    return JSON.matcher(media).matches()
        ? Optional.of(new BodyFormat(Kind.JSON, ""))
        : Optional.empty();
  }

  /** Whether a target is a part of such a body. */
  boolean has(Target target) {
    return switch (kind) {
      case JSON -> target instanceof Target.Json;
      case FORM -> target instanceof Target.Form;
      case MULTIPART -> target instanceof Target.Multipart;
    };
  }

  /**
   * @param own the boundary that a multipart body is written with
   */
  public Parsed parse(byte[] body, String own) throws MalformedBodyException {
    return switch (kind) {
      case JSON -> JsonBody.parse(body);
      case FORM -> Pairs.parse(new String(body, StandardCharsets.ISO_8859_1), Target.Form::new);
      case MULTIPART ->
          MultipartBody.parse(new String(body, StandardCharsets.ISO_8859_1), boundary, own);
    };
  }

  /** The type of what was written anew. */
  public Headers written(Headers headers, String own) {
    return kind == Kind.MULTIPART
        ? headers
            .without("content-type")
            .with("content-type", "multipart/form-data; boundary=" + own)
        : headers;
  }
}
