package dev.cofferdam.kit.egress;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/** Percent-encoding, RFC 3986 section 2.1. */
final class Percent {
  private Percent() {}

  /** Decodes once; what is no escape or no UTF-8 then is ambiguous. */
  static String decoded(String text) throws AmbiguousException {
    if (text.indexOf('%') < 0 && text.chars().allMatch(c -> c < 0x80)) {
      return text;
    }
    byte[] bytes = new byte[text.length()];
    int length = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c >= 0x80) {
        throw new AmbiguousException("it has a character that is not ASCII");
      }
      if (c == '%') {
        if (i + 2 >= text.length()
            || !HexFormat.isHexDigit(text.charAt(i + 1))
            || !HexFormat.isHexDigit(text.charAt(i + 2))) {
          throw new AmbiguousException("it has a % that is no escape");
        }
        bytes[length++] = (byte) HexFormat.fromHexDigits(text, i + 1, i + 3);
        i += 2;
      } else {
        bytes[length++] = (byte) c;
      }
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(bytes, 0, length))
          .toString();
    } catch (CharacterCodingException e) {
      throw new AmbiguousException("it is no UTF-8 once it is decoded");
    }
  }
}
