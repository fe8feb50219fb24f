package dev.cofferdam.gateway.placeholder;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * SHA-256 of the ASCII bytes of a placeholder's core.
 *
 * @param hex 64 lower-case digits
 */
public record PlaceholderHash(String hex) {
  public PlaceholderHash {
    if (!hex.matches("[0-9a-f]{64}")) {
      throw new IllegalArgumentException("'" + hex + "', expected 64 hexadecimal digits");
    }
  }

  public static PlaceholderHash of(String core) {
    try {
      return of(
          MessageDigest.getInstance("SHA-256").digest(core.getBytes(StandardCharsets.US_ASCII)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  public static PlaceholderHash of(byte[] sha256) {
    return new PlaceholderHash(HexFormat.of().formatHex(sha256));
  }

  public byte[] bytes() {
    return HexFormat.of().parseHex(hex);
  }
}
