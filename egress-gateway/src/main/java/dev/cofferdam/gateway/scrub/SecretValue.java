package dev.cofferdam.gateway.scrub;

import io.netty.buffer.ByteBuf;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Secret bytes outside the heap, where no collector copies them. {@link #close} zeroes them;
 * reading afterwards throws. It has no text form and is never compared.
 *
 * <p>Filled by one thread, then read by any.
 */
public final class SecretValue implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final MemorySegment bytes;
  private boolean closed;

  public SecretValue(int length) {
    this.bytes = arena.allocate(Math.max(1, length)).asSlice(0, length);
  }

  public int length() {
    return (int) bytes.byteSize();
  }

  public void set(int index, byte value) {
    bytes.set(ValueLayout.JAVA_BYTE, index, value);
  }

  /** 0 to 255. */
  public int at(int index) {
    return bytes.get(ValueLayout.JAVA_BYTE, index) & 0xff;
  }

  /** The caller sees to it that the buffer is zeroed after use. */
  public void writeTo(ByteBuf out) {
    out.writeBytes(bytes.asByteBuffer());
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      bytes.fill((byte) 0);
      arena.close();
    }
  }
}
