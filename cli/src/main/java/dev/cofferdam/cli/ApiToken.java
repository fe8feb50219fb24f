package dev.cofferdam.cli;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.Set;

/**
 * A tenant's token: {@code cfd_<id>_<secret>}. Whoever has the whole string has the tenant's
 * rights.
 *
 * @param id {@code tk-} and 16 characters, not secret
 * @param text the whole string
 */
public record ApiToken(String id, String text) {
  /** Lets its bearer answer for requests that wait. */
  public static final String APPROVALS = "approvals";

  /**
   * Everything that a token may hold which the scheduler knows: all but {@code secrets:write} and
   * {@code approvals}.
   */
  public static final Set<String> API_SCOPES =
      Set.of(
          "sandboxes:read",
          "sandboxes:write",
          "exec",
          "files",
          "ports",
          "secrets:use",
          "secrets:read",
          "audit:read");

  /** For the broker alone. */
  public static final Set<String> SECRETS_SCOPES =
      Set.of("secrets:read", "secrets:write", "audit:read", APPROVALS);

  private static final String ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

  /** 52 characters of 32 kinds: 260 random bits. */
  private static final int SECRET_LENGTH = 52;

  public ApiToken {
    if (!id.matches("tk-[a-z2-7]{16}") || !text.startsWith("cfd_" + id + "_")) {
      throw new IllegalArgumentException("not a token: expected cfd_<id>_<secret> for " + id);
    }
  }

  public static ApiToken generate(SecureRandom random) {
    String id = "tk-" + characters(random, 16);
    return new ApiToken(id, "cfd_" + id + "_" + characters(random, SECRET_LENGTH));
  }

  public static ApiToken parse(String text) {
    String[] parts = text.strip().split("_", 3);
    if (parts.length != 3) {
      throw new IllegalArgumentException("not a token: expected cfd_<id>_<secret>");
    }
    return new ApiToken(parts[1], text.strip());
  }

  /** What the services keep of it. */
  public byte[] sha256() {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  @Override
  public String toString() {
    return "ApiToken[" + id + "]";
  }

  private static String characters(SecureRandom random, int count) {
    StringBuilder text = new StringBuilder(count);
    for (int i = 0; i < count; i++) {
      text.append(ALPHABET.charAt(random.nextInt(ALPHABET.length())));
    }
    return text.toString();
  }
}
