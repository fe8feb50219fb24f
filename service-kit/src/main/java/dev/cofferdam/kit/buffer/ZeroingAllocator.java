package dev.cofferdam.kit.buffer;

import io.netty.buffer.AbstractByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.UnpooledHeapByteBuf;
import io.netty.buffer.UnpooledUnsafeDirectByteBuf;
import io.netty.util.internal.CleanableDirectBuffer;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Gives Netty buffers that are zeroed before their memory is given back. On the way to and from the
 * wire a value passes through several of them, in clear until TLS has encrypted it; Netty's usual
 * pool would keep what they held until somebody needs the same place again.
 *
 * <p>Every buffer is its own allocation. That costs some microseconds a message: it is for the
 * connections that carry values, and for no others.
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
      return new Zeroed(super.allocateDirectBuffer(capacity));
    }
  }

  private record Zeroed(CleanableDirectBuffer memory) implements CleanableDirectBuffer {
    @Override
    public ByteBuffer buffer() {
      return memory.buffer();
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
      MemorySegment.ofBuffer(memory.buffer().duplicate().clear()).fill((byte) 0);
      memory.clean();
    }
  }
}
