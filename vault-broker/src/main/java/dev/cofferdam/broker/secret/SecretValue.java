package dev.cofferdam.broker.secret;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The bytes of a secret in memory that the garbage collector neither moves nor copies, zeroed by
 * {@link #close()}. (A wiped {@code byte[]} leaves the copies that a collector made of it.)
 *
 * <p>There is deliberately no way to a {@code String} or an array, and {@link #toString()} says
 * only the length. Whoever makes a value closes it; a value is never shared between owners, each
 * takes a {@link #copy()}. Reading from several threads is safe, closing while another thread reads
 * is not: that owner's reader gets an {@link IllegalStateException}.
 */
public final class SecretValue implements AutoCloseable {
  /** The longest value, 64 KiB. */
  public static final int MAX_LENGTH = 65_536;

  private final Arena arena;
  private final MemorySegment bytes;

  private SecretValue(Arena arena, MemorySegment bytes) {
    this.arena = arena;
    this.bytes = bytes;
  }

  /**
   * A value of so many zero bytes, to be filled through {@link #segment()}.
   *
   * @param length 0 to {@value #MAX_LENGTH}
   */
  @SuppressWarnings("MustBeClosed") // the value owns it and closes it
  public static SecretValue ofLength(long length) {
    if (length < 0 || length > MAX_LENGTH) {
      throw new IllegalArgumentException(
          "length is " + length + ", expected 0 to " + MAX_LENGTH + " bytes");
    }
    Arena arena = Arena.ofShared();
    return new SecretValue(arena, arena.allocate(length));
  }

  /** A value with the bytes of a segment, which stays its owner's to wipe. */
  public static SecretValue copyOf(MemorySegment source) {
    SecretValue value = ofLength(source.byteSize());
    MemorySegment.copy(source, 0, value.bytes, 0, source.byteSize());
    return value;
  }

  public int length() {
    return (int) bytes.byteSize();
  }

  public byte at(int index) {
    return bytes.get(ValueLayout.JAVA_BYTE, index);
  }

  /** The memory itself, for adapters. Dead after {@link #close()}. */
  public MemorySegment segment() {
    return bytes;
  }

  /** Another value with the same bytes and an owner of its own. */
  public SecretValue copy() {
    return copyOf(bytes);
  }

  /** Whether both hold the same bytes, in time that depends on the lengths alone. */
  public boolean sameAs(SecretValue other) {
    if (length() != other.length()) {
      return false;
    }
    int difference = 0;
    for (int i = 0; i < length(); i++) {
      difference |= at(i) ^ other.at(i);
    }
    return difference == 0;
  }

  /** Zeroes the memory and gives it back. A second close does nothing. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      bytes.fill((byte) 0);
      arena.close();
    }
  }

  @Override
  public String toString() {
    return "SecretValue[" + bytes.byteSize() + " bytes]";
  }
}
