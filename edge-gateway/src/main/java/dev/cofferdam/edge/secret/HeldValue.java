package dev.cofferdam.edge.secret;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Bytes that must not be on the heap, zeroed by {@link #close()}. Filled by one thread, then read
 * by one at a time. There is no way to an array or a {@code String}.
 */
public final class HeldValue implements AutoCloseable {
  private final Arena arena;
  private final MemorySegment memory;
  private final AtomicBoolean closed = new AtomicBoolean();
  private int length;

  /**
   * @param capacity bytes, 0 or more
   */
  @SuppressWarnings("MustBeClosedChecker") // By close().
  public HeldValue(int capacity) {
    this(capacity, Arena.ofShared());
  }

  /**
   * @param arena closed with it; another than one of its own lets a test see what is left
   */
  HeldValue(int capacity, Arena arena) {
    this.arena = arena;
    memory = arena.allocate(Math.max(capacity, 1));
  }

  public void append(byte next) {
    memory.set(ValueLayout.JAVA_BYTE, length++, next);
  }

  public byte at(int index) {
    if (index >= length) {
      throw new IndexOutOfBoundsException("byte " + index + " of " + length);
    }
    return memory.get(ValueLayout.JAVA_BYTE, index);
  }

  public int length() {
    return length;
  }

  /** A second close does nothing. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      memory.fill((byte) 0);
      arena.close();
    }
  }

  @Override
  public String toString() {
    return "HeldValue[" + length + " bytes]";
  }
}
