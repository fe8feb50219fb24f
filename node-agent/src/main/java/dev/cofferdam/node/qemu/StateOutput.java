package dev.cofferdam.node.qemu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;

/** What is kept of a migration stream, up to a bound. */
final class StateOutput {
  private final WritableByteChannel file;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(64 << 10);
  private long left;

  StateOutput(WritableByteChannel file, long maxBytes) {
    this.file = file;
    this.left = maxBytes;
  }

  void writeByte(int value) throws IOException {
    room(1);
    buffer.put((byte) value);
  }

  void writeInt(int value) throws IOException {
    room(Integer.BYTES);
    buffer.putInt(value);
  }

  void writeLong(long value) throws IOException {
    room(Long.BYTES);
    buffer.putLong(value);
  }

  void writeName(String name) throws IOException {
    byte[] bytes = name.getBytes(StandardCharsets.ISO_8859_1);
    writeByte(bytes.length);
    write(ByteBuffer.wrap(bytes));
  }

  void write(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      int count = Math.min(bytes.remaining(), buffer.capacity());
      room(count);
      buffer.put(bytes.slice(bytes.position(), count));
      bytes.position(bytes.position() + count);
    }
  }

  void flush() throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      file.write(buffer);
    }
    buffer.clear();
  }

  private void room(int bytes) throws IOException {
    left -= bytes;
    if (left < 0) {
      throw new IOException("the state is larger than its bound");
    }
    if (buffer.remaining() < bytes) {
      flush();
    }
  }
}
