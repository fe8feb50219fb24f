package dev.cofferdam.node.qemu;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Lines of a channel, none longer than a bound, and not faster than anybody needs them: a virtual
 * thread is given no time slice, and one that always finds something to read would let no other
 * run.
 */
final class QmpLines {
  /** A session's commands and answers are some KiB in all. */
  private static final int PACE_BYTES = 4 << 10;

  private static final long PACE_NANOS = 1_000_000;

  private final ReadableByteChannel channel;
  private final int maxBytes;
  private final ByteBuffer buffer = ByteBuffer.allocate(16 << 10).flip();
  private int unpaced;
  private final ByteArrayOutputStream line = new ByteArrayOutputStream(256);

  QmpLines(ReadableByteChannel channel, int maxBytes) {
    this.channel = channel;
    this.maxBytes = maxBytes;
  }

  /** Null at the end; an unfinished last line is not a line. */
  @Nullable String next() throws IOException {
    line.reset();
    while (true) {
      while (buffer.hasRemaining()) {
        byte b = buffer.get();
        if (b == '\n') {
          return line.toString(StandardCharsets.UTF_8);
        }
        if (line.size() >= maxBytes) {
          throw new IOException("a line is longer than " + maxBytes + " bytes");
        }
        line.write(b);
      }
      buffer.clear();
      int read = channel.read(buffer);
      buffer.flip();
      if (read < 0) {
        return null;
      }
      unpaced += read;
      if (unpaced >= PACE_BYTES) {
        LockSupport.parkNanos(unpaced / PACE_BYTES * PACE_NANOS);
        unpaced %= PACE_BYTES;
      }
    }
  }
}
