package dev.cofferdam.kit.buffer;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import org.junit.jupiter.api.Test;

final class ZeroingAllocatorTest {
  private final ZeroingAllocator allocator = new ZeroingAllocator();

  @Test
  void whatABufferHeldIsZeroOnceItIsReleased() {
    ByteBuf buffer = allocator.heapBuffer(4, 64).writeBytes(new byte[] {1, 2, 3, 4});
    byte[] first = buffer.array();

    // It does not fit any more: what held it is left behind.
    buffer.writeBytes(new byte[] {5, 6, 7, 8});
    byte[] second = buffer.array();
    buffer.release();

    assertThat(second).isNotSameAs(first).containsOnly(0);
    assertThat(first).containsOnly(0);
  }

  /** A pool would hand the bytes on to the next user. */
  @Test
  void directMemoryIsNotPooled() {
    assertThat(allocator.isDirectBufferPooled()).isFalse();
    ByteBuf buffer = allocator.directBuffer();
    assertThat(buffer.isDirect()).isTrue();
    buffer.release();
  }
}
