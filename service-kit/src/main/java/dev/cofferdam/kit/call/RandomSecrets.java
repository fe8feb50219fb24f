package dev.cofferdam.kit.call;

import java.security.SecureRandom;
import java.util.Base64;

/** What credentials that a service hands out are made of: 256 random bits, as base64url. */
public final class RandomSecrets {
  private static final int BYTES = 32;

  private RandomSecrets() {}

  /**
   * @param prefix what tells its kind
   */
  public static String next(String prefix, SecureRandom random) {
    byte[] bytes = new byte[BYTES];
    random.nextBytes(bytes);
    return prefix + Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }
}
