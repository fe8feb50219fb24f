package dev.cofferdam.kit.egress;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What a request is signed over, or how a signature is written: text with variables in braces.
 *
 * @param pieces in their order
 */
public record SigningTemplate(List<Piece> pieces) {
  /** The longest template, in characters. */
  public static final int MAX_LENGTH = 1024;

  private static final Pattern VARIABLE =
      Pattern.compile("\\{([a-z]+(?::[!#$%&'*+.^_`|~0-9a-z-]{1,256})?)}");

  /** What stands for a part of a request. */
  public enum Variable {
    /** The text itself. */
    TEXT,
    METHOD,
    /** As in Host: with the port where that has one. */
    HOST,
    /** Without the query. */
    PATH,
    /** Without the question mark. */
    QUERY,
    /** Path and query, as they are sent. */
    TARGET,
    HEADER,
    BODY,
    /** SHA-256 of the body in lower-case hexadecimal. */
    BODY_SHA256,
    TIMESTAMP,
    SIGNATURE
  }

  /**
   * @param text of {@link Variable#TEXT}, the name of a {@link Variable#HEADER}
   */
  public record Piece(Variable variable, String text) {}

  public SigningTemplate {
    pieces = List.copyOf(pieces);
  }

  /**
   * @param allowed beside text
   * @throws IllegalArgumentException where it is no template of these variables
   */
  public static SigningTemplate parse(String text, Set<Variable> allowed) {
    if (text.isEmpty() || text.length() > MAX_LENGTH) {
      throw new IllegalArgumentException(
          "the template has %d characters, expected 1 to %d".formatted(text.length(), MAX_LENGTH));
    }
    if (text.chars().anyMatch(c -> c != '\n' && (c < 0x20 || c > 0x7e))) {
      throw new IllegalArgumentException(
          "the template '%s' holds a character that is no visible ASCII".formatted(Shown.of(text)));
    }
    List<Piece> pieces = new ArrayList<>();
    Matcher matcher = VARIABLE.matcher(text);
    int from = 0;
    while (matcher.find()) {
      literal(text.substring(from, matcher.start()), text, pieces);
      pieces.add(variable(matcher.group(1), text, allowed));
      from = matcher.end();
    }
    literal(text.substring(from), text, pieces);
    return new SigningTemplate(pieces);
  }

  private static void literal(String literal, String text, List<Piece> pieces) {
    if (literal.indexOf('{') >= 0 || literal.indexOf('}') >= 0) {
      throw new IllegalArgumentException(
          "the template '%s' has a brace that belongs to no variable".formatted(Shown.of(text)));
    }
    if (!literal.isEmpty()) {
      pieces.add(new Piece(Variable.TEXT, literal));
    }
  }

  private static Piece variable(String name, String text, Set<Variable> allowed) {
    String header = name.startsWith("header:") ? name.substring("header:".length()) : "";
    Variable variable =
        switch (name) {
          case "method" -> Variable.METHOD;
          case "host" -> Variable.HOST;
          case "path" -> Variable.PATH;
          case "query" -> Variable.QUERY;
          case "target" -> Variable.TARGET;
          case "body" -> Variable.BODY;
          case "body:sha256" -> Variable.BODY_SHA256;
          case "timestamp" -> Variable.TIMESTAMP;
          case "signature" -> Variable.SIGNATURE;
          default -> header.isEmpty() ? Variable.TEXT : Variable.HEADER;
        };
    if (!allowed.contains(variable)) {
      throw new IllegalArgumentException(
          "the template '%s' has {%s}, expected %s"
              .formatted(
                  Shown.of(text),
                  Shown.of(name),
                  allowed.stream().map(SigningTemplate::shown).sorted().collect(joined())));
    }
    return new Piece(variable, header);
  }

  private static java.util.stream.Collector<CharSequence, ?, String> joined() {
    return Collectors.joining(", ");
  }

  private static String shown(Variable variable) {
    return switch (variable) {
      case HEADER -> "{header:<name>}";
      case BODY_SHA256 -> "{body:sha256}";
      default -> "{" + variable.name().toLowerCase(Locale.ROOT) + "}";
    };
  }

  public boolean has(Variable variable) {
    return pieces.stream().anyMatch(piece -> piece.variable() == variable);
  }

  /** The names of headers in it, in lower case. */
  public Set<String> headers() {
    return pieces.stream()
        .filter(piece -> piece.variable() == Variable.HEADER)
        .map(Piece::text)
        .collect(Collectors.toUnmodifiableSet());
  }
}
