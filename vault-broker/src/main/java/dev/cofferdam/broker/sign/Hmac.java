package dev.cofferdam.broker.sign;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** HMAC with a key that never is on the heap, RFC 2104. */
final class Hmac {
  private static final int INNER = 0x36;
  private static final int OUTER = 0x5c;

  private Hmac() {}

  /**
   * @param message writes it into the hash
   * @param out as long as the hash; may be the key's memory
   */
  static void sign(
      Supplier<Digest> hash, MemorySegment key, Consumer<Digest> message, MemorySegment out) {
    try (Arena arena = Arena.ofConfined();
        Digest inner = hash.get();
        Digest outer = hash.get()) {
      MemorySegment padded = arena.allocate(inner.blockLength());
      MemorySegment middle = arena.allocate(inner.length());
      try {
        pad(hash, key, padded);
        begin(inner, padded, INNER);
        message.accept(inner);
        inner.finish(middle);
        begin(outer, padded, OUTER);
        outer.update(middle);
        outer.finish(out);
      } finally {
        padded.fill((byte) 0);
        middle.fill((byte) 0);
      }
    }
  }

  /** A key that is longer than a block is used by its hash. */
  private static void pad(Supplier<Digest> hash, MemorySegment key, MemorySegment padded) {
    if (key.byteSize() <= padded.byteSize()) {
      MemorySegment.copy(key, 0, padded, 0, key.byteSize());
      return;
    }
    try (Digest digest = hash.get()) {
      digest.update(key);
      digest.finish(padded.asSlice(0, digest.length()));
    }
  }

  private static void begin(Digest digest, MemorySegment padded, int mask) {
    for (long i = 0; i < padded.byteSize(); i++) {
      digest.update(padded.get(ValueLayout.JAVA_BYTE, i) ^ mask);
    }
  }
}
