package dev.cofferdam.kit.buffer;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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

  @ParameterizedTest
  @ValueSource(ints = {1, 256, 257, 5000, 65_536, 65_537, 1 << 20})
  void directMemoryComesBackZeroedIntoTheNextBuffer(int capacity) {
    for (int round = 0; round < 3; round++) {
      ByteBuf buffer = allocator.directBuffer(capacity, 2 << 20);
      assertThat(buffer.isDirect()).isTrue();
      assertThat(buffer.capacity()).isEqualTo(capacity);
      for (int i = 0; i < capacity; i++) {
        assertThat(buffer.getByte(i)).isZero();
      }
      // Beyond what its indices say, as native code writes it.
      for (int i = 0; i < capacity; i += 7) {
        buffer.setByte(i, 0x5a);
      }
      // It grows and leaves its predecessor behind.
      buffer.capacity(capacity + 300);
      buffer.setByte(capacity + 299, 0x5a);
      buffer.release();
    }
  }

  @Test
  void buffersThatAreOpenAtOnceShareNothing() {
    List<ByteBuf> open = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      open.add(allocator.directBuffer(8).writeLong(i));
    }
    for (int i = 0; i < open.size(); i++) {
      assertThat(open.get(i).readLong()).isEqualTo(i);
      open.get(i).release();
    }
  }
}
