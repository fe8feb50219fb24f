package dev.cofferdam.edge.session;

import com.fasterxml.jackson.databind.JsonNode;
import com.linecorp.armeria.common.websocket.WebSocketCloseStatus;
import com.linecorp.armeria.common.websocket.WebSocketFrame;
import com.linecorp.armeria.common.websocket.WebSocketWriter;
import dev.cofferdam.edge.protocol.Json;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * What goes to the client, in the order in which it was handed over. Whoever sends waits while too
 * much is on its way: a client that takes nothing for long ends its session.
 *
 * <p>Safe for use by several threads.
 */
public final class Outbox {
  private final WebSocketWriter writer;
  private final int limit;
  private final Duration stall;
  private final MemoryBudget.Account memory;
  private final Semaphore room;

  Outbox(WebSocketWriter writer, int limit, Duration stall, MemoryBudget.Account memory) {
    this.writer = writer;
    this.limit = limit;
    this.stall = stall;
    this.memory = memory;
    this.room = new Semaphore(limit, true);
  }

  /**
   * @throws SessionClosedException when nobody will read it
   */
  public void send(JsonNode message) throws InterruptedException {
    send(Json.bytes(message));
  }

  /**
   * @param text in UTF-8; it belongs to the outbox from now on
   */
  void send(byte[] text) throws InterruptedException {
    int length = text.length;
    memory.add(length);
    boolean sent = false;
    try {
      write(text);
      sent = true;
    } finally {
      if (!sent) {
        memory.subtract(length);
      }
    }
  }

  private void write(byte[] bytes) throws InterruptedException {
    int length = bytes.length;
    int size = Math.min(length, limit);
    if (!room.tryAcquire(size, stall.toMillis(), TimeUnit.MILLISECONDS)) {
      SessionClosedException closed = new SessionClosedException("the client reads nothing");
      writer.abort(closed);
      throw closed;
    }
    if (!writer.tryWrite(WebSocketFrame.ofText(bytes))) {
      throw new SessionClosedException("the socket is closed");
    }
    var _ =
        writer
            .whenConsumed()
            .whenComplete((_, failure) -> {
              memory.subtract(length);
              if (failure == null) {
                room.release(size);
              }
            });
  }

  /** Without waiting for room: for what is small and rare. */
  void sendAtOnce(JsonNode message) {
    var _ = writer.tryWrite(WebSocketFrame.ofText(message.toString()));
  }

  void pong(byte[] payload) {
    var _ = writer.tryWrite(WebSocketFrame.ofPong(payload));
  }

  /** Nobody waits for room any more. */
  void release() {
    room.release(limit);
  }

  void close(int code, String reason) {
    writer.close(WebSocketCloseStatus.ofPrivateUse(code, reason));
  }

  void close(WebSocketCloseStatus status, String reason) {
    writer.close(status, reason);
  }
}
