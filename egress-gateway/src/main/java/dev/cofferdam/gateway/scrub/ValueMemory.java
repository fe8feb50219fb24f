package dev.cofferdam.gateway.scrub;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Blocks outside the heap that are used again and again, always given back zeroed. An arena of its
 * own for each value would be closed by stopping every thread of the process for a moment: half a
 * millisecond on an idle machine, twenty on a busy one (measured), for each value of each request.
 */
final class ValueMemory {
  /** Sizes of blocks, bytes: keys and headers, long tokens, certificates. */
  private static final int[] SIZES = {256, 4096, 65_536};

  /** Blocks of each size at most, 8 MiB in all. */
  private static final int[] MOST = {4096, 1024, 48};

  private static final Blocks[] BLOCKS = new Blocks[SIZES.length];

  static {
    for (int i = 0; i < SIZES.length; i++) {
      BLOCKS[i] = new Blocks(SIZES[i], MOST[i]);
    }
  }

  private ValueMemory() {}

  /** Blocks of one size. */
  private static final class Blocks {
    private final int size;
    private final int most;
    private final AtomicInteger made = new AtomicInteger();
    private final ConcurrentLinkedQueue<MemorySegment> free = new ConcurrentLinkedQueue<>();

    Blocks(int size, int most) {
      this.size = size;
      this.most = most;
    }

    Optional<MemorySegment> take() {
      MemorySegment block = free.poll();
      if (block != null) {
        return Optional.of(block);
      }
      if (made.getAndUpdate(count -> Math.min(most, count + 1)) >= most) {
        return Optional.empty();
      }
      return Optional.of(Arena.global().allocate(size));
    }
  }

  /** Memory for one value. The one who took it gives it back, once. */
  static final class Block {
    private final MemorySegment bytes;
    private final Runnable giveBack;

    private Block(MemorySegment bytes, Runnable giveBack) {
      this.bytes = bytes;
      this.giveBack = giveBack;
    }

    MemorySegment bytes() {
      return bytes;
    }

    void giveBack() {
      bytes.fill((byte) 0);
      giveBack.run();
    }
  }

  /**
   * @return so many zero bytes
   */
  static Block take(int length) {
    for (Blocks each : BLOCKS) {
      if (length <= each.size) {
        Optional<MemorySegment> block = each.take();
        if (block.isPresent()) {
          return new Block(block.get().asSlice(0, length), () -> each.free.add(block.get()));
        }
      }
    }
    return own(length);
  }

  /** Of what is large or too many at once. */
  @SuppressWarnings("MustBeClosed") // by giveBack
  private static Block own(int length) {
    Arena arena = Arena.ofShared();
    return new Block(arena.allocate(Math.max(1, length)).asSlice(0, length), arena::close);
  }
}
