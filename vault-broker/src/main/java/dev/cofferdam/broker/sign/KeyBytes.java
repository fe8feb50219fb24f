package dev.cofferdam.broker.sign;

import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.HmacEncoding;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Keys and signatures as they are written, to and from their bytes, off the heap. */
public final class KeyBytes {
  private static final String HEX = "0123456789abcdef";
  private static final String BASE64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  private KeyBytes() {}

  /** Refuses a value that is not written in this, or is a key of no byte. */
  public static void check(SecretValue value, HmacEncoding written) {
    boolean fits =
        switch (written) {
          case HMAC_ENCODING_HEX -> value.length() % 2 == 0 && all(value, value.length(), 16);
          case HMAC_ENCODING_BASE64 -> {
            int length = unpadded(value);
            yield length > 1
                && length % 4 != 1
                && value.length() - length <= 2
                && all(value, length, 64);
          }
          case HMAC_ENCODING_UNSPECIFIED, UNRECOGNIZED -> true;
        };
    if (!fits) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID,
          "the value is no key in %s"
              .formatted(written == HmacEncoding.HMAC_ENCODING_HEX ? "hexadecimal" : "base64"));
    }
  }

  private static boolean all(SecretValue value, int length, int base) {
    boolean all = true;
    for (int i = 0; i < length; i++) {
      int digit = digit(value.at(i), base);
      all &= digit >= 0 && digit < base;
    }
    return all;
  }

  private static int unpadded(SecretValue value) {
    int length = value.length();
    while (length > 0 && value.at(length - 1) == '=') {
      length--;
    }
    return length;
  }

  /** For the caller to close. */
  static SecretValue of(SecretValue value, HmacEncoding written) {
    return switch (written) {
      case HMAC_ENCODING_HEX -> decoded(value, value.length(), 16, 4);
      case HMAC_ENCODING_BASE64 -> decoded(value, unpadded(value), 64, 6);
      case HMAC_ENCODING_UNSPECIFIED, UNRECOGNIZED -> SecretValue.copyOf(value.segment());
    };
  }

  private static SecretValue decoded(SecretValue value, int digits, int base, int bitsEach) {
    SecretValue key = SecretValue.ofLength((long) digits * bitsEach / 8);
    int bits = 0;
    int held = 0;
    long at = 0;
    for (int i = 0; i < digits; i++) {
      bits = (bits << bitsEach | digit(value.at(i), base)) & 0xffff;
      held += bitsEach;
      if (held >= 8) {
        held -= 8;
        key.segment().set(ValueLayout.JAVA_BYTE, at++, (byte) (bits >> held));
      }
    }
    return key;
  }

  /** Negative for what is none. */
  private static int digit(byte unit, int base) {
    if (base == 16) {
      return Character.digit(unit, 16);
    }
    return switch (unit) {
      case '-' -> 62;
      case '_' -> 63;
      default -> BASE64.indexOf(unit);
    };
  }

  /** For the caller to close. */
  static SecretValue written(MemorySegment bytes, HmacEncoding encoding) {
    return encoding == HmacEncoding.HMAC_ENCODING_BASE64 ? base64(bytes) : hex(bytes);
  }

  private static SecretValue hex(MemorySegment bytes) {
    SecretValue text = SecretValue.ofLength(2 * bytes.byteSize());
    for (long i = 0; i < bytes.byteSize(); i++) {
      int unit = bytes.get(ValueLayout.JAVA_BYTE, i) & 0xff;
      set(text, 2 * i, HEX.charAt(unit >> 4));
      set(text, 2 * i + 1, HEX.charAt(unit & 15));
    }
    return text;
  }

  private static SecretValue base64(MemorySegment bytes) {
    SecretValue text = SecretValue.ofLength((bytes.byteSize() + 2) / 3 * 4);
    long at = 0;
    for (long i = 0; i < bytes.byteSize(); i += 3) {
      int group = unit(bytes, i) << 16 | unit(bytes, i + 1) << 8 | unit(bytes, i + 2);
      for (int digit = 0; digit < 4; digit++) {
        boolean there = i + digit <= bytes.byteSize();
        set(text, at++, there ? BASE64.charAt((group >> (18 - 6 * digit)) & 63) : '=');
      }
    }
    return text;
  }

  private static int unit(MemorySegment bytes, long at) {
    return at < bytes.byteSize() ? bytes.get(ValueLayout.JAVA_BYTE, at) & 0xff : 0;
  }

  private static void set(SecretValue text, long at, char digit) {
    text.segment().set(ValueLayout.JAVA_BYTE, at, (byte) digit);
  }
}
