package dev.cofferdam.broker.audit;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * The hash chain of one broker's rows: each row's hash covers the hash before it, so that a row
 * changed, removed or put in afterwards breaks every later one.
 */
final class AuditChain {
  /** Before the first row. */
  static final int HASH_LENGTH = 32;

  private AuditChain() {}

  static byte[] start() {
    return new byte[HASH_LENGTH];
  }

  /** Every part goes in with its length, so that no two rows have the same form. */
  static byte[] next(byte[] previous, String tenant, long position, long number, byte[] event) {
    try {
      byte[] name = tenant.getBytes(StandardCharsets.UTF_8);
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(previous);
      digest.update(
          ByteBuffer.allocate(24 + name.length)
              .putInt(name.length)
              .put(name)
              .putLong(position)
              .putLong(number)
              .putInt(event.length)
              .flip());
      digest.update(event);
      return digest.digest();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
