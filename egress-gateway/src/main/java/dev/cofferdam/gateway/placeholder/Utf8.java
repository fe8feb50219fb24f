package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.gateway.scrub.SecretValue;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** UTF-8 as RFC 3629 has it: nothing overlong, no surrogates, nothing above U+10FFFF. */
final class Utf8 {
  private Utf8() {}

  /** Read in place: a decoder would make a copy. */
  static boolean valid(SecretValue value) {
    for (int at = 0; at < value.length(); ) {
      int more = following(value.at(at));
      if (more < 0 || at + more >= value.length()) {
        return false;
      }
      if (more > 0 && !second(value.at(at), value.at(at + 1))) {
        return false;
      }
      for (int i = 2; i <= more; i++) {
        if (value.at(at + i) >> 6 != 0b10) {
          return false;
        }
      }
      at += more + 1;
    }
    return true;
  }

  private static int following(int first) {
    return first < 0x80
        ? 0
        : first >= 0xc2 && first < 0xe0
            ? 1
            : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : -1;
  }

  private static boolean second(int first, int second) {
    int lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    int highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= lowest && second <= highest;
  }

  /** Empty for what is none. */
  static Optional<String> decode(byte[] bytes) {
    try {
      return Optional.of(
          StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
    } catch (CharacterCodingException e) {
      return Optional.empty();
    }
  }

  /** Whether each surrogate has its other half. */
  static boolean valid(String text) {
    return StandardCharsets.UTF_8.newEncoder().canEncode(text);
  }

  /** One character for each byte. */
  static String bytes(String text) {
    return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
  }
}
