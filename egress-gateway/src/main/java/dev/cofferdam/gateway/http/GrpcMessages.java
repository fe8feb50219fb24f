package dev.cofferdam.gateway.http;

import io.netty.buffer.ByteBuf;

/** Where messages end in the body of a call: gRPC over HTTP/2, "Length-Prefixed-Message". */
public final class GrpcMessages {
  /** A flag and a length stand before each. */
  private static final int HEAD = 5;

  private int headLeft = HEAD;
  private long textLeft;

  /** The length of what is next there: of a head, or of a message as far as it has come. */
  public int next(ByteBuf part) {
    if (headLeft > 0) {
      int length = Math.min(headLeft, part.readableBytes());
      for (int at = part.readerIndex(); at < part.readerIndex() + length; at++) {
        textLeft = headLeft == HEAD ? 0 : textLeft << 8 | part.getUnsignedByte(at);
        headLeft--;
      }
      return started(length);
    }
    int length = (int) Math.min(textLeft, part.readableBytes());
    textLeft -= length;
    return started(length);
  }

  private int started(int length) {
    if (headLeft == 0 && textLeft == 0) {
      headLeft = HEAD;
    }
    return length;
  }

  /** Whether what is next is of a head. */
  public boolean inHead() {
    return headLeft > 0;
  }

  /** Whether a message has ended and none has begun behind it. */
  public boolean betweenTwo() {
    return headLeft == HEAD;
  }
}
