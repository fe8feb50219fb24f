package dev.cofferdam.broker.vault;

import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;

/** Digits straight from and to off-heap memory: no array holds the value itself. */
final class Hex {
  private Hex() {}

  static String encode(SecretValue value) {
    StringBuilder digits = new StringBuilder(2 * value.length());
    for (int i = 0; i < value.length(); i++) {
      HexFormat.of().toHexDigits(digits, value.at(i));
    }
    return digits.toString();
  }

  static SecretValue decode(String digits) {
    if (digits.length() % 2 != 0
        || digits.length() / 2 > SecretValue.MAX_LENGTH
        || !digits.chars().allMatch(HexFormat::isHexDigit)) {
      throw new StoreUnavailableException("Vault's entry holds no value of ours");
    }
    SecretValue value = SecretValue.ofLength(digits.length() / 2);
    for (int i = 0; i < value.length(); i++) {
      int high = HexFormat.fromHexDigit(digits.charAt(2 * i));
      int low = HexFormat.fromHexDigit(digits.charAt(2 * i + 1));
      value.segment().set(ValueLayout.JAVA_BYTE, i, (byte) (high << 4 | low));
    }
    return value;
  }
}
