package dev.cofferdam.kit.buffer;

import io.netty.util.internal.CleanableDirectBuffer;
import io.netty.util.internal.PlatformDependent;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Queue;
import java.util.function.IntFunction;

/**
 * Memory that is zeroed when it is given back and then kept for the next buffer of its size. To
 * allocate and free it each time costs more than all else that a small message needs.
 */
final class ZeroedMemory implements CleanableDirectBuffer {
  private static final int SMALLEST_BITS = 8;
  private static final int LARGEST_BITS = 16;

  /** Of each size, at most: 8 MiB in all. */
  private static final int KEPT = 64;

  /** By the power of two that their size is, from the smallest on. */
  @SuppressWarnings({"unchecked", "rawtypes"}) // there are no arrays of generic types
  private static final Queue<CleanableDirectBuffer>[] FREE =
      new Queue[LARGEST_BITS - SMALLEST_BITS + 1];

  static {
    for (int i = 0; i < FREE.length; i++) {
      FREE[i] = PlatformDependent.newFixedMpmcQueue(KEPT);
    }
  }

  private final CleanableDirectBuffer memory;
  private final ByteBuffer view;

  private ZeroedMemory(CleanableDirectBuffer memory, int capacity) {
    this.memory = memory;
    this.view = memory.buffer().slice(0, capacity);
  }

  /**
   * @param fresh makes some of a size
   */
  static ZeroedMemory take(int capacity, IntFunction<CleanableDirectBuffer> fresh) {
    int bits = bits(capacity);
    if (bits > LARGEST_BITS) {
      return new ZeroedMemory(fresh.apply(capacity), capacity);
    }
    CleanableDirectBuffer kept = FREE[bits - SMALLEST_BITS].poll();
    return new ZeroedMemory(kept != null ? kept : fresh.apply(1 << bits), capacity);
  }

  /** Of the smallest size that holds so much. */
  private static int bits(int capacity) {
    return Math.max(SMALLEST_BITS, 32 - Integer.numberOfLeadingZeros(Math.max(1, capacity) - 1));
  }

  @Override
  public ByteBuffer buffer() {
    return view;
  }

  @Override
  public boolean hasMemoryAddress() {
    return memory.hasMemoryAddress();
  }

  @Override
  public long memoryAddress() {
    return memory.memoryAddress();
  }

  @Override
  public void clean() {
    // No more than this buffer could be written through it.
    MemorySegment.ofBuffer(view.duplicate().clear()).fill((byte) 0);
    int bits = bits(view.capacity());
    if (bits > LARGEST_BITS || !FREE[bits - SMALLEST_BITS].offer(memory)) {
      memory.clean();
    }
  }
}
