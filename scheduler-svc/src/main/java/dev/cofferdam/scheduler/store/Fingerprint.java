package dev.cofferdam.scheduler.store;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
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
    try {
      return of(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  byte[] bytes() {
    return HexFormat.of().parseHex(hex);
  }
}
