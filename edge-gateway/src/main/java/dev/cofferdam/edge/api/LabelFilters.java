package dev.cofferdam.edge.api;

import dev.cofferdam.edge.protocol.HttpError;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Label filters of a list's query. The JavaScript SDK sends {@code labels[<name>]=<value>}, the
 * Python SDK {@code labels=} and what Python prints for a dictionary of texts ({@code {'a': 'b'}}).
 */
final class LabelFilters {
  private static final int MAX = 64;

  private final String text;
  private int at;

  private LabelFilters(String text) {
    this.text = text;
  }

  /** By name, from the names of query parameters. */
  static Map<String, String> of(Iterable<Map.Entry<String, String>> query) throws HttpError {
    Map<String, String> labels = new LinkedHashMap<>();
    for (Map.Entry<String, String> parameter : query) {
      String name = parameter.getKey();
      if (name.equals("labels")) {
        labels.putAll(new LabelFilters(parameter.getValue()).dictionary());
      } else if (name.startsWith("labels[") && name.endsWith("]")) {
        labels.put(name.substring("labels[".length(), name.length() - 1), parameter.getValue());
      }
    }
    if (labels.size() > MAX) {
      throw HttpError.invalid("INVALID_LABEL", "over " + MAX + " labels");
    }
    return labels;
  }

  private Map<String, String> dictionary() throws HttpError {
    Map<String, String> entries = new LinkedHashMap<>();
    expect('{');
    while (peek() != '}') {
      String name = literal();
      expect(':');
      expect(' ');
      entries.put(name, literal());
      if (peek() == ',') {
        expect(',');
        expect(' ');
      }
    }
    expect('}');
    if (at != text.length()) {
      throw malformed();
    }
    return entries;
  }

  /** As Python's {@code repr} writes a text. */
  private String literal() throws HttpError {
    char quote = next();
    if (quote != '\'' && quote != '"') {
      throw malformed();
    }
    StringBuilder value = new StringBuilder();
    for (char c = next(); c != quote; c = next()) {
      if (c == '\\') {
        value.appendCodePoint(escape());
      } else {
        value.append(c);
      }
    }
    return value.toString();
  }

  private int escape() throws HttpError {
    char c = next();
    return switch (c) {
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case '\\', '\'', '"' -> c;
      case 'x' -> hex(2);
      case 'u' -> hex(4);
      case 'U' -> hex(8);
      default -> throw malformed();
    };
  }

  private int hex(int digits) throws HttpError {
    int value = 0;
    for (int i = 0; i < digits; i++) {
      int digit = Character.digit(next(), 16);
      if (digit < 0) {
        throw malformed();
      }
      value = value << 4 | digit;
    }
    if (!Character.isValidCodePoint(value)) {
      throw malformed();
    }
    return value;
  }

  private void expect(char expected) throws HttpError {
    if (next() != expected) {
      throw malformed();
    }
  }

  private char peek() throws HttpError {
    if (at >= text.length()) {
      throw malformed();
    }
    return text.charAt(at);
  }

  private char next() throws HttpError {
    char c = peek();
    at++;
    return c;
  }

  private static HttpError malformed() {
    return HttpError.invalid("INVALID_LABEL", "labels is no dictionary of texts");
  }
}
