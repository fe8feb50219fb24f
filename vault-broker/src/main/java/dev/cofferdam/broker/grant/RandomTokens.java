package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.policy.PlaceholderShape;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.kit.egress.PlaceholderForm;
import java.security.SecureRandom;
import java.util.Optional;

/** Strings that nobody can guess: placeholders and tickets. Kept only as their SHA-256. */
public final class RandomTokens {
  static final String TICKET = "cft_";
  static final String PROXY_TOKEN = "cfp_";

  // 62^43 > 2^256.
  private static final int LENGTH = 43;
  private static final String ALPHABET = PlaceholderForm.USUAL.alphabet();

  private final SecureRandom random;

  public RandomTokens(SecureRandom random) {
    this.random = random;
  }

  /**
   * A new placeholder.
   *
   * @param core what it is known by, and kept by its hash
   */
  record Placeholder(String whole, String core) {
    @Override
    public String toString() {
      return "Placeholder[" + whole.length() + " characters]";
    }
  }

  /** In the usual form where no shape is wanted. */
  Placeholder placeholder(Optional<PlaceholderShape> shape) {
    PlaceholderForm form = shape.map(PlaceholderShape::form).orElse(PlaceholderForm.USUAL);
    String core = next(form.mark(), form.tail(), form.alphabet());
    return new Placeholder(
        shape
            .map(wanted -> PlaceholderForm.whole(wanted.prefix(), core, wanted.length()))
            .orElse(core),
        core);
  }

  /** {@code cft_} and 43 characters of [0-9A-Za-z]. */
  String ticket() {
    return next(TICKET);
  }

  /** {@code cfp_} and 43 characters of [0-9A-Za-z]. */
  String proxyToken() {
    return next(PROXY_TOKEN);
  }

  /** An address of 100::/64 (RFC 6666), as text: from there no packet comes. */
  String discardAddress() {
    byte[] address = new byte[16];
    random.nextBytes(address);
    java.util.Arrays.fill(address, 0, 8, (byte) 0);
    address[0] = 1;
    try {
      return java.net.InetAddress.getByAddress(address).getHostAddress();
    } catch (java.net.UnknownHostException e) {
      throw new IllegalStateException("sixteen bytes are an address", e);
    }
  }

  /** An id that is not secret: a prefix and 20 characters of [0-9a-z]. */
  public String id(String prefix) {
    StringBuilder text = new StringBuilder(prefix);
    for (int i = 0; i < 20; i++) {
      text.append(Character.forDigit(random.nextInt(36), 36));
    }
    return text.toString();
  }

  static byte[] hash(String token) {
    return TokenHashes.sha256(token);
  }

  private String next(String prefix) {
    return next(prefix, LENGTH, ALPHABET);
  }

  private String next(String prefix, int length, String alphabet) {
    StringBuilder text = new StringBuilder(prefix.length() + length).append(prefix);
    for (int i = 0; i < length; i++) {
      text.append(alphabet.charAt(random.nextInt(alphabet.length())));
    }
    return text.toString();
  }
}
