package dev.cofferdam.kit.call;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * How tokens are stored. Plain SHA-256 is enough: a token has 256 random bits, so there is nothing
 * to guess that a slow hash would protect.
 */
public final class TokenHashes {
  private TokenHashes() {}

  /** 32 bytes, of the token's UTF-8 form. */
  public static byte[] sha256(String token) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
