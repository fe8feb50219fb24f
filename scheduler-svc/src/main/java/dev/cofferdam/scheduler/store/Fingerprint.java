package dev.cofferdam.scheduler.store;

import dev.cofferdam.kit.call.Sha256;
import java.util.HexFormat;

/**
 * SHA-256 of a request, to tell whether two are the same without keeping either.
 *
 * @param hex 64 hex digits
 */
public record Fingerprint(String hex) {
  public Fingerprint {
    if (hex.length() != 64) {
      throw new IllegalArgumentException(
          "a fingerprint of " + hex.length() + " digits, expected 64");
    }
  }

  static Fingerprint of(byte[] sha256) {
    return new Fingerprint(HexFormat.of().formatHex(sha256));
  }

  public static Fingerprint ofContent(byte[] content) {
    return of(Sha256.of(content));
  }

  byte[] bytes() {
    return HexFormat.of().parseHex(hex);
  }
}
