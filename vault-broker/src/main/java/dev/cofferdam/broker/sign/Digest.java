package dev.cofferdam.broker.sign;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A hash whose whole state is off the heap and zeroed on close: the block that it works on, and so
 * the state of {@link java.security.MessageDigest}, holds the key while it is used in HMAC.
 *
 * <p>One thread at a time; one message.
 */
interface Digest extends AutoCloseable {
  /** In bytes. */
  int length();

  /** What it takes at a time, in bytes. */
  int blockLength();

  void update(int unit);

  /**
   * @param out as long as {@link #length}
   */
  void finish(MemorySegment out);

  default void update(MemorySegment bytes) {
    for (long i = 0; i < bytes.byteSize(); i++) {
      update(bytes.get(ValueLayout.JAVA_BYTE, i));
    }
  }

  /**
   * @param bytes one character for each
   */
  default void update(String bytes) {
    for (int i = 0; i < bytes.length(); i++) {
      update(bytes.charAt(i));
    }
  }

  @Override
  void close();
}
