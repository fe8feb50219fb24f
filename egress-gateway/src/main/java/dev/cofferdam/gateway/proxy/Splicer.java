package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.Basic;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Header;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Writes a header's value with secrets in the places of their placeholders, off-heap throughout.
 */
final class Splicer {
  private static final String BASE64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  private Splicer() {}

  /** What a value is made of. */
  sealed interface Piece {
    int length();

    int at(int index);

    record Text(String text) implements Piece {
      @Override
      public int length() {
        return text.length();
      }

      @Override
      public int at(int index) {
        return text.charAt(index);
      }
    }

    record Secret(SecretValue value) implements Piece {
      @Override
      public int length() {
        return value.length();
      }

      @Override
      public int at(int index) {
        return value.at(index);
      }
    }
  }

  /** Whether the header holds any of the placeholders, also inside Basic credentials. */
  static boolean concerns(Header header, Map<String, SecretValue> values) {
    String text =
        Basic.of(header)
            .map(basic -> basic.username() + ":" + basic.password())
            .orElse(header.value());
    return values.keySet().stream().anyMatch(text::contains);
  }

  /**
   * @param values by placeholder
   * @return the value to send, for the caller to close
   */
  static SecretValue splice(Header header, Map<String, SecretValue> values) {
    return Basic.of(header)
        .map(basic -> basic(basic, values))
        .orElseGet(() -> join(split(header.value(), values)));
  }

  private static SecretValue basic(Basic basic, Map<String, SecretValue> values) {
    List<Piece> pieces = new ArrayList<>(split(basic.username(), values));
    pieces.add(new Piece.Text(":"));
    pieces.addAll(split(basic.password(), values));
    try (SecretValue plain = join(pieces)) {
      int scheme = basic.scheme().length();
      SecretValue encoded = new SecretValue(scheme + (plain.length() + 2) / 3 * 4);
      for (int i = 0; i < scheme; i++) {
        encoded.set(i, (byte) basic.scheme().charAt(i));
      }
      for (int in = 0, out = scheme; in < plain.length(); in += 3, out += 4) {
        int left = plain.length() - in;
        int group =
            plain.at(in) << 16
                | (left > 1 ? plain.at(in + 1) << 8 : 0)
                | (left > 2 ? plain.at(in + 2) : 0);
        encoded.set(out, digit(group >> 18));
        encoded.set(out + 1, digit(group >> 12));
        encoded.set(out + 2, left > 1 ? digit(group >> 6) : (byte) '=');
        encoded.set(out + 3, left > 2 ? digit(group) : (byte) '=');
      }
      return encoded;
    }
  }

  private static byte digit(int bits) {
    return (byte) BASE64.charAt(bits & 63);
  }

  private static List<Piece> split(String text, Map<String, SecretValue> values) {
    List<Piece> pieces = new ArrayList<>();
    int from = 0;
    for (int at = 0; at < text.length(); at++) {
      for (Map.Entry<String, SecretValue> entry : values.entrySet()) {
        if (text.startsWith(entry.getKey(), at)) {
          pieces.add(new Piece.Text(text.substring(from, at)));
          pieces.add(new Piece.Secret(entry.getValue()));
          from = at + entry.getKey().length();
          at = from - 1;
          break;
        }
      }
    }
    pieces.add(new Piece.Text(text.substring(from)));
    return pieces;
  }

  static SecretValue join(List<Piece> pieces) {
    SecretValue joined = new SecretValue(pieces.stream().mapToInt(Piece::length).sum());
    int at = 0;
    for (Piece piece : pieces) {
      for (int i = 0; i < piece.length(); i++) {
        joined.set(at++, (byte) piece.at(i));
      }
    }
    return joined;
  }
}
