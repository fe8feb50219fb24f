package dev.cofferdam.gateway.scrub;

import io.netty.buffer.ByteBuf;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Secret bytes outside the heap, where no collector copies them. {@link #close} zeroes them;
 * reading afterwards throws. It has no text form and is never compared.
 *
 * <p>Filled by one thread, then read by any, and closed by the one that read last: its memory is
 * another value's from then on.
 */
public final class SecretValue implements AutoCloseable {
  private final ValueMemory.Block block;
  private final MemorySegment bytes;
  private volatile boolean closed;

  public SecretValue(int length) {
    this.block = ValueMemory.take(length);
    this.bytes = block.bytes();
  }

  private MemorySegment open() {
    if (closed) {
      throw new IllegalStateException("the value was closed");
    }
    return bytes;
  }

  public int length() {
    return (int) bytes.byteSize();
  }

  public void set(int index, byte value) {
    open().set(ValueLayout.JAVA_BYTE, index, value);
  }

  /** 0 to 255. */
  public int at(int index) {
    return open().get(ValueLayout.JAVA_BYTE, index) & 0xff;
  }

  /** The caller sees to it that the buffer is zeroed after use. */
  public void writeTo(ByteBuf out) {
    out.writeBytes(open().asByteBuffer());
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      block.giveBack();
    }
  }
}
