package dev.cofferdam.broker.oauth;

import dev.cofferdam.broker.secret.SecretValue;
import io.netty.buffer.ByteBuf;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Some members of a JSON object (RFC 8259), found without making any text of their values:
 * libraries give strings, which would stay on the heap. Strict, for two readers of one answer have
 * to agree: a member that stands twice is refused.
 */
final class JsonMembers {
  private static final int MAX_DEPTH = 32;
  private static final int MAX_NAME = 64;

  private final ByteBuf text;
  private final Set<String> wanted;
  private final Map<String, Integer> found = new HashMap<>();
  private int at;

  /** It is no JSON object, or none that can be read in one way. Quotes nothing. */
  static final class MalformedException extends Exception {
    private static final long serialVersionUID = 1L;

    MalformedException(String message) {
      super(message);
    }
  }

  /**
   * @param text from its reader's index on; stays the caller's
   * @param wanted names, of at most {@value #MAX_NAME} characters of ASCII
   */
  JsonMembers(ByteBuf text, Set<String> wanted) throws MalformedException {
    this.text = text;
    this.wanted = wanted;
    this.at = text.readerIndex();
    blanks();
    if (peek() != '{') {
      throw new MalformedException("no JSON object");
    }
    object(1, true);
    blanks();
    if (at != text.writerIndex()) {
      throw new MalformedException("more than one JSON object");
    }
  }

  /**
   * A member that has to be a string of visible ASCII, for the caller to close; empty where it is
   * not there.
   */
  Optional<SecretValue> value(String name) throws MalformedException {
    Integer start = found.get(name);
    if (start == null) {
      return Optional.empty();
    }
    at = start;
    if (peek() != '"') {
      throw new MalformedException(name + " is no string");
    }
    at++;
    int begin = at;
    int length = 0;
    for (int unit = unit(); unit >= 0; unit = unit()) {
      if (unit <= 0x20 || unit >= 0x7f) {
        throw new MalformedException(name + " has other characters than visible ASCII");
      }
      length++;
    }
    if (length > SecretValue.MAX_LENGTH) {
      throw new MalformedException(name + " is too long");
    }
    SecretValue value = SecretValue.ofLength(length);
    at = begin;
    for (int i = 0; i < length; i++) {
      value.segment().set(ValueLayout.JAVA_BYTE, i, (byte) unit());
    }
    return Optional.of(value);
  }

  /** Of what is no secret: a string of at most 64 characters; empty for all else. */
  Optional<String> word(String name) throws MalformedException {
    Integer start = found.get(name);
    if (start == null || text.getByte(start) != '"') {
      return Optional.empty();
    }
    at = start;
    return string();
  }

  /** A number without sign, fraction and exponent, or a string of one; empty where not there. */
  Optional<Long> count(String name) throws MalformedException {
    Integer start = found.get(name);
    if (start == null) {
      return Optional.empty();
    }
    at = start;
    boolean quoted = peek() == '"';
    if (quoted) {
      at++;
    }
    long count = 0;
    int digits = 0;
    while (digits < 12 && isDigit(peek())) {
      count = 10 * count + next() - '0';
      digits++;
    }
    int end = peek();
    boolean ends =
        quoted
            ? end == '"'
            : end == ',' || end == '}' || end == ' ' || end == '\n' || end == '\r' || end == '\t';
    if (digits == 0 || !ends) {
      throw new MalformedException(name + " is no count");
    }
    return Optional.of(count);
  }

  private void object(int depth, boolean outermost) throws MalformedException {
    expect('{');
    blanks();
    if (peek() == '}') {
      at++;
      return;
    }
    while (true) {
      blanks();
      Optional<String> name = string();
      blanks();
      expect(':');
      blanks();
      if (outermost && name.isPresent() && wanted.contains(name.get())) {
        if (found.put(name.get(), at) != null) {
          throw new MalformedException(name.get() + " stands there twice");
        }
      }
      value(depth);
      blanks();
      if (peek() == '}') {
        at++;
        return;
      }
      expect(',');
    }
  }

  private void array(int depth) throws MalformedException {
    expect('[');
    blanks();
    if (peek() == ']') {
      at++;
      return;
    }
    while (true) {
      blanks();
      value(depth);
      blanks();
      if (peek() == ']') {
        at++;
        return;
      }
      expect(',');
    }
  }

  private void value(int depth) throws MalformedException {
    if (depth > MAX_DEPTH) {
      throw new MalformedException("JSON that is nested too deep");
    }
    int first = peek();
    switch (first) {
      case '{' -> object(depth + 1, false);
      case '[' -> array(depth + 1);
      case '"' -> skipString();
      case 't' -> literal("true");
      case 'f' -> literal("false");
      case 'n' -> literal("null");
      default -> number();
    }
  }

  private void literal(String literal) throws MalformedException {
    for (int i = 0; i < literal.length(); i++) {
      expect(literal.charAt(i));
    }
  }

  private void number() throws MalformedException {
    if (peek() == '-') {
      at++;
    }
    if (peek() == '0') {
      at++;
    } else {
      digits();
    }
    if (peek() == '.') {
      at++;
      digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      at++;
      if (peek() == '+' || peek() == '-') {
        at++;
      }
      digits();
    }
  }

  private void digits() throws MalformedException {
    if (!isDigit(peek())) {
      throw new MalformedException("no JSON");
    }
    while (isDigit(peek())) {
      at++;
    }
  }

  private static boolean isDigit(int unit) {
    return unit >= '0' && unit <= '9';
  }

  private void skipString() throws MalformedException {
    expect('"');
    int unit = unit();
    while (unit >= 0) {
      unit = unit();
    }
  }

  /** Empty for one that is longer than any wanted name, or outside of ASCII. */
  private Optional<String> string() throws MalformedException {
    expect('"');
    byte[] name = new byte[MAX_NAME];
    int length = 0;
    for (int unit = unit(); unit >= 0; unit = unit()) {
      if (length < 0 || length == MAX_NAME || unit > 0x7e) {
        length = -1;
      } else {
        name[length++] = (byte) unit;
      }
    }
    return length < 0
        ? Optional.empty()
        : Optional.of(new String(name, 0, length, StandardCharsets.US_ASCII));
  }

  /** The next unit of a string, a byte of it or what an escape stands for; -1 behind its end. */
  private int unit() throws MalformedException {
    int unit = next();
    if (unit == '"') {
      return -1;
    }
    if (unit < 0x20) {
      throw new MalformedException("no JSON");
    }
    if (unit != '\\') {
      return unit;
    }
    int escape = next();
    return switch (escape) {
      case '"', '\\', '/' -> escape;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> hex();
      default -> throw new MalformedException("no JSON");
    };
  }

  private int hex() throws MalformedException {
    int unit = 0;
    for (int i = 0; i < 4; i++) {
      int digit = Character.digit(next(), 16);
      if (digit < 0) {
        throw new MalformedException("no JSON");
      }
      unit = unit << 4 | digit;
    }
    return unit;
  }

  private void blanks() {
    while (at < text.writerIndex()) {
      byte unit = text.getByte(at);
      if (unit != ' ' && unit != '\t' && unit != '\n' && unit != '\r') {
        return;
      }
      at++;
    }
  }

  private void expect(char unit) throws MalformedException {
    if (next() != unit) {
      throw new MalformedException("no JSON");
    }
  }

  /** -1 at the end. */
  private int peek() {
    return at < text.writerIndex() ? text.getByte(at) & 0xff : -1;
  }

  private int next() throws MalformedException {
    if (at >= text.writerIndex()) {
      throw new MalformedException("JSON that is cut off");
    }
    return text.getByte(at++) & 0xff;
  }
}
