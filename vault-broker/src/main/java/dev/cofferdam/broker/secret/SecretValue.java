package dev.cofferdam.broker.secret;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The bytes of a secret in memory that the garbage collector neither moves nor copies, zeroed by
 * {@link #close()}. (A wiped {@code byte[]} leaves the copies that a collector made of it.)
 *
 * <p>There is deliberately no way to a {@code String} or an array, and {@link #toString()} says
 * only the length. Whoever makes a value closes it; each further owner takes {@link #another()} of
 * the same bytes, and they are zeroed when the last has closed. Reading from several threads is
 * safe, closing while another thread reads is not: that owner's reader gets an {@link
 * IllegalStateException}.
 */
public final class SecretValue implements AutoCloseable {
  /** The longest value, 64 KiB. */
  public static final int MAX_LENGTH = 65_536;

  /**
   * What all owners share. Its arena is closed once: that stops every thread of the process for a
   * moment, milliseconds of them on a busy machine, and so is not for each use of a value.
   */
  private record Shared(Arena arena, MemorySegment bytes, AtomicInteger owners) {
    void left() {
      if (owners.decrementAndGet() == 0) {
        bytes.fill((byte) 0);
        arena.close();
      }
    }
  }

  private final Shared shared;
  private final AtomicBoolean closed = new AtomicBoolean();

  private SecretValue(Shared shared) {
    this.shared = shared;
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
    return new SecretValue(new Shared(arena, arena.allocate(length), new AtomicInteger(1)));
  }

  /** A value with the bytes of a segment, which stays its owner's to wipe. */
  public static SecretValue copyOf(MemorySegment source) {
    SecretValue value = ofLength(source.byteSize());
    MemorySegment.copy(source, 0, value.segment(), 0, source.byteSize());
    return value;
  }

  public int length() {
    return (int) shared.bytes().byteSize();
  }

  public byte at(int index) {
    if (closed.get()) {
      throw new IllegalStateException("the value was closed");
    }
    return shared.bytes().get(ValueLayout.JAVA_BYTE, index);
  }

  /** The memory itself, for adapters. Dead once all owners have closed. */
  public MemorySegment segment() {
    return shared.bytes();
  }

  /** The same bytes for another owner. From here on nobody may change them. */
  public SecretValue another() {
    SecretValue another = new SecretValue(shared);
    if (closed.get() || shared.owners().getAndUpdate(count -> count == 0 ? 0 : count + 1) == 0) {
      throw new IllegalStateException("the value was closed");
    }
    return another;
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

  /** The last owner's zeroes the memory and gives it back. A second close does nothing. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      shared.left();
    }
  }

  @Override
  public String toString() {
    return "SecretValue[" + length() + " bytes]";
  }
}
