package dev.cofferdam.kit.buffer;

import io.netty.buffer.AbstractByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.UnpooledHeapByteBuf;
import io.netty.buffer.UnpooledUnsafeDirectByteBuf;
import io.netty.util.internal.CleanableDirectBuffer;
import java.util.Arrays;

/**
 * Gives Netty buffers that are zeroed before their memory is given back. On the way to and from the
 * wire a value passes through several of them, in clear until TLS has encrypted it; Netty's usual
 * pool would keep what they held until somebody needs the same place again.
 *
 * <p>Memory outside the heap is used again, zeroed as it is: see {@link ZeroedMemory}. Zeroing
 * costs what writing does, so this is for the connections that carry values, and for no others.
 */
public final class ZeroingAllocator extends AbstractByteBufAllocator {
  public ZeroingAllocator() {
    super(true);
  }

  @Override
  public boolean isDirectBufferPooled() {
    return false;
  }

  @Override
  protected ByteBuf newHeapBuffer(int initialCapacity, int maxCapacity) {
    return new Heap(this, initialCapacity, maxCapacity);
  }

  @Override
  protected ByteBuf newDirectBuffer(int initialCapacity, int maxCapacity) {
    return new Direct(this, initialCapacity, maxCapacity);
  }

  private static final class Heap extends UnpooledHeapByteBuf {
    Heap(ZeroingAllocator allocator, int initialCapacity, int maxCapacity) {
      super(allocator, initialCapacity, maxCapacity);
    }

    @Override
    protected void freeArray(byte[] array) {
      Arrays.fill(array, (byte) 0);
    }
  }

  private static final class Direct extends UnpooledUnsafeDirectByteBuf {
    Direct(ZeroingAllocator allocator, int initialCapacity, int maxCapacity) {
      super(allocator, initialCapacity, maxCapacity);
    }

    /** Also where a buffer that has grown leaves its smaller predecessor. */
    @Override
    protected CleanableDirectBuffer allocateDirectBuffer(int capacity) {
      return ZeroedMemory.take(capacity, super::allocateDirectBuffer);
    }
  }
}
