package dev.cofferdam.gateway.http;

import io.netty.buffer.AbstractByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.UnpooledDirectByteBuf;
import io.netty.buffer.UnpooledHeapByteBuf;
import io.netty.util.internal.CleanableDirectBuffer;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * Buffers that are zeroed before their memory is given back, for connections that carry secrets:
 * requests on their way out and answers that echo them.
 */
public final class WipingAllocator extends AbstractByteBufAllocator {
  public WipingAllocator() {
    super(true);
  }

  @Override
  protected ByteBuf newHeapBuffer(int initialCapacity, int maxCapacity) {
    return new UnpooledHeapByteBuf(this, initialCapacity, maxCapacity) {
      @Override
      protected void freeArray(byte[] array) {
        java.util.Arrays.fill(array, (byte) 0);
      }
    };
  }

  @Override
  protected ByteBuf newDirectBuffer(int initialCapacity, int maxCapacity) {
    return new Wiped(this, initialCapacity, maxCapacity);
  }

  @Override
  public boolean isDirectBufferPooled() {
    return false;
  }

  private static final class Wiped extends UnpooledDirectByteBuf {
    Wiped(WipingAllocator allocator, int initialCapacity, int maxCapacity) {
      super(allocator, initialCapacity, maxCapacity);
    }

    @Override
    protected CleanableDirectBuffer allocateDirectBuffer(int capacity) {
      return new WipedMemory(super.allocateDirectBuffer(capacity));
    }
  }

  private record WipedMemory(CleanableDirectBuffer memory) implements CleanableDirectBuffer {
    @Override
    public ByteBuffer buffer() {
      return memory.buffer();
    }

    @Override
    public void clean() {
      MemorySegment.ofBuffer(memory.buffer().duplicate().clear()).fill((byte) 0);
      memory.clean();
    }

    @Override
    public boolean hasMemoryAddress() {
      return memory.hasMemoryAddress();
    }

    @Override
    public long memoryAddress() {
      return memory.memoryAddress();
    }
  }
}
