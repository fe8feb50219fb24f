package dev.cofferdam.edge.session;

import com.linecorp.armeria.common.HttpData;
import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.websocket.WebSocketFrame;

/** What a socket's bytes weigh before they are frames: a frame is decoded once it is whole. */
public final class Arrived {
  private static final int HEADER = 2;
  private static final int MASK = 4;

  private Arrived() {}

  /** The request, with each of its bytes on the account from when it is there. */
  public static HttpRequest counted(HttpRequest request, MemoryBudget.Account memory) {
    return request.mapData(data -> counted(data, memory));
  }

  private static HttpData counted(HttpData data, MemoryBudget.Account memory) {
    memory.add(data.length());
    return data;
  }

  /** What came for a frame, which has no other form than the shortest (RFC 6455, section 5.2). */
  static long bytes(WebSocketFrame frame) {
    int length = frame.length();
    int extended = 0;
    if (length > 0xffff) {
      extended = Long.BYTES;
    } else if (length > 125) {
      extended = Short.BYTES;
    }
    return (long) HEADER + extended + MASK + length;
  }
}
