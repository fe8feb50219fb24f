package dev.cofferdam.node.qemu;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Lines of a channel, none longer than a bound. */
final class QmpLines {
  private final ReadableByteChannel channel;
  private final int maxBytes;
  private final ByteBuffer buffer = ByteBuffer.allocate(16 << 10).flip();
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
    }
  }
}
