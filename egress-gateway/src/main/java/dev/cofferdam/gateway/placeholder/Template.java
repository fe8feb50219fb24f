package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.gateway.scrub.SecretValue;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A part of a request as it was parsed, to be written anew with values in the places of
 * placeholders. Those are looked for in decoded text alone, never in what was written around it.
 */
public final class Template {
  /** A value that the format cannot hold. */
  public static final class UnrepresentableException extends Exception {
    private static final long serialVersionUID = 1L;

    UnrepresentableException(String message) {
      super(message, null, false, false);
    }
  }

  /**
   * @param bytes one character for each
   */
  private record Piece(String bytes, boolean text, Escape escape) {}

  private sealed interface Run {
    record Text(String bytes, Escape escape) implements Run {}

    record Value(SecretValue value, Escape escape) implements Run {}
  }

  private final List<Piece> pieces = new ArrayList<>();
  private final StringBuilder literal = new StringBuilder();

  /**
   * A message of text.
   *
   * @param bytes one character for each
   */
  public static Template ofMessage(String bytes) {
    return new Template().text(bytes, Escape.TEXT);
  }

  /**
   * What is written as it is.
   *
   * @param bytes one character for each
   */
  Template literal(CharSequence bytes) {
    literal.append(bytes);
    return this;
  }

  /**
   * What may hold placeholders.
   *
   * @param bytes decoded, one character for each
   */
  Template text(String bytes, Escape escape) {
    endLiteral();
    pieces.add(new Piece(bytes, true, escape));
    return this;
  }

  Template append(Template other) {
    other.endLiteral();
    endLiteral();
    pieces.addAll(other.pieces);
    return this;
  }

  private void endLiteral() {
    if (!literal.isEmpty()) {
      pieces.add(new Piece(literal.toString(), false, Escape.NONE));
      literal.setLength(0);
    }
  }

  /**
   * @param values by placeholder
   * @return for the caller to close
   */
  public SecretValue render(Map<String, SecretValue> values) throws UnrepresentableException {
    endLiteral();
    List<Run> runs = new ArrayList<>();
    for (Piece piece : pieces) {
      if (piece.text()) {
        split(piece, values, runs);
      } else {
        runs.add(new Run.Text(piece.bytes(), Escape.NONE));
      }
    }
    SecretValue rendered = new SecretValue(Math.toIntExact(length(runs)));
    int at = 0;
    for (Run run : runs) {
      switch (run) {
        case Run.Text(String bytes, Escape escape) -> {
          for (int i = 0; i < bytes.length(); i++) {
            at = write(rendered, at, bytes.charAt(i), escape);
          }
        }
        case Run.Value(SecretValue value, Escape escape) -> {
          for (int i = 0; i < value.length(); i++) {
            at = write(rendered, at, value.at(i), escape);
          }
        }
      }
    }
    return rendered;
  }

  private static int write(SecretValue to, int at, int unit, Escape escape) {
    int length = escape.length(unit);
    for (int i = 0; i < length; i++) {
      to.set(at + i, escape.at(unit, i));
    }
    return at + length;
  }

  private static long length(List<Run> runs) {
    long length = 0;
    for (Run run : runs) {
      switch (run) {
        case Run.Text(String bytes, Escape escape) -> {
          for (int i = 0; i < bytes.length(); i++) {
            length += escape.length(bytes.charAt(i));
          }
        }
        case Run.Value(SecretValue value, Escape escape) -> {
          for (int i = 0; i < value.length(); i++) {
            length += escape.length(value.at(i));
          }
        }
      }
    }
    return length;
  }

  private static void split(Piece piece, Map<String, SecretValue> values, List<Run> runs)
      throws UnrepresentableException {
    String text = piece.bytes();
    int from = 0;
    for (int at = 0; at < text.length(); at++) {
      for (Map.Entry<String, SecretValue> entry : values.entrySet()) {
        if (text.startsWith(entry.getKey(), at)) {
          runs.add(new Run.Text(text.substring(from, at), piece.escape()));
          from = at + entry.getKey().length();
          at = from - 1;
          runs.add(new Run.Value(checked(entry.getValue(), piece.escape()), piece.escape()));
          if (piece.escape() == Escape.SEGMENT && from == entry.getKey().length()) {
            checkSegment(entry.getValue(), from == text.length());
          }
          break;
        }
      }
    }
    runs.add(new Run.Text(text.substring(from), piece.escape()));
  }

  private static SecretValue checked(SecretValue value, Escape escape)
      throws UnrepresentableException {
    if (!escape.writes(value)) {
      throw new UnrepresentableException(
          "the value is no UTF-8, which the text around it consists of");
    }
    return value;
  }

  /** A segment of one or two dots is no name but a way (RFC 3986 section 5.2.4). */
  private static void checkSegment(SecretValue value, boolean whole)
      throws UnrepresentableException {
    if (whole && value.length() <= 2 && value.at(0) == '.' && value.at(value.length() - 1) == '.') {
      throw new UnrepresentableException("the value would be read as a way through the path");
    }
  }
}
