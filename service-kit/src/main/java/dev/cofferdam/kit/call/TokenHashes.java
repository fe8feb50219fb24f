package dev.cofferdam.kit.call;

import java.nio.charset.StandardCharsets;

/**
 * How tokens are stored. Plain SHA-256 is enough: a token has 256 random bits, so there is nothing
 * to guess that a slow hash would protect.
 */
public final class TokenHashes {
  private TokenHashes() {}

  /** 32 bytes, of the token's UTF-8 form. */
  public static byte[] sha256(String token) {
    return Sha256.of(token.getBytes(StandardCharsets.UTF_8));
  }
}
