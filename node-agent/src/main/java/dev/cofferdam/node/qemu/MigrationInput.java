package dev.cofferdam.node.qemu;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.StandardCharsets;

/** The items of a migration stream, big-endian, one after another. */
final class MigrationInput {
  private final ReadableByteChannel stream;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(256 << 10).flip();

  MigrationInput(ReadableByteChannel stream) {
    this.stream = stream;
  }

  int readByte() throws IOException {
    need(1);
    return buffer.get() & 0xff;
  }

  int readInt() throws IOException {
    need(Integer.BYTES);
    return buffer.getInt();
  }

  long readLong() throws IOException {
    need(Long.BYTES);
    return buffer.getLong();
  }

  /** At most 255 bytes after their number. */
  String readName() throws IOException {
    byte[] name = new byte[readByte()];
    need(name.length);
    buffer.get(name);
    return new String(name, StandardCharsets.ISO_8859_1);
  }

  /** The next bytes, valid until the next call. */
  ByteBuffer take(int bytes) throws IOException {
    need(bytes);
    ByteBuffer taken = buffer.slice(buffer.position(), bytes);
    buffer.position(buffer.position() + bytes);
    return taken;
  }

  void copy(int bytes, StateOutput to) throws IOException {
    to.write(take(bytes));
  }

  /** Everything up to the stream's end. */
  void drain(StateOutput to) throws IOException {
    do {
      to.write(buffer);
      buffer.clear();
      int read = stream.read(buffer);
      buffer.flip();
      if (read < 0) {
        return;
      }
    } while (true);
  }

  private void need(int bytes) throws IOException {
    while (buffer.remaining() < bytes) {
      buffer.compact();
      int read = stream.read(buffer);
      buffer.flip();
      if (read < 0) {
        throw new EOFException("the stream ended early");
      }
    }
  }
}
