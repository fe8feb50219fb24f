package dev.cofferdam.broker.api;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Goes over the fields of a message in protobuf's wire format without taking any out of its memory.
 *
 * @see <a href="https://protobuf.dev/programming-guides/encoding/">Encoding</a>
 */
final class WireReader {
  private static final int VARINT = 0;
  private static final int FIXED_64 = 1;
  private static final int BYTES = 2;
  private static final int FIXED_32 = 5;

  private final MemorySegment message;
  private long start;
  private long position;
  private long contentStart;
  private int tag;

  WireReader(MemorySegment message) {
    this.message = message;
  }

  /** Goes to the next field; false at the end. */
  boolean next() throws IOException {
    start = position;
    if (position == message.byteSize()) {
      return false;
    }
    tag = (int) varint();
    if (field() == 0) {
      throw new IOException("a field without number");
    }
    contentStart = position;
    switch (tag & 7) {
      case VARINT -> {
        var _ = varint();
      }
      case FIXED_64 -> advance(8);
      case FIXED_32 -> advance(4);
      case BYTES -> {
        long length = varint();
        contentStart = position;
        advance(length);
      }
      // Groups ended with proto2; no message here has one.
      default -> throw new IOException("wire type " + (tag & 7));
    }
    return true;
  }

  int field() {
    return tag >>> 3;
  }

  boolean isBytes() {
    return (tag & 7) == BYTES;
  }

  /** The field's bytes, without its tag and length, in place. */
  MemorySegment content() {
    return message.asSlice(contentStart, position - contentStart);
  }

  /** The whole field, tag included. */
  void copyTo(ByteArrayOutputStream out) {
    for (long i = start; i < position; i++) {
      out.write(message.get(ValueLayout.JAVA_BYTE, i));
    }
  }

  private long varint() throws IOException {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (position == message.byteSize()) {
        throw new IOException("cut off");
      }
      byte next = message.get(ValueLayout.JAVA_BYTE, position++);
      value |= (long) (next & 0x7f) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw new IOException("a number of more than 64 bits");
  }

  private void advance(long length) throws IOException {
    if (length < 0 || length > message.byteSize() - position) {
      throw new IOException("cut off");
    }
    position += length;
  }
}
