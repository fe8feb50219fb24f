package dev.cofferdam.edge.session;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Message;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** Streams to the client. */
public final class OutputStreams {
  /** Of one message; three bytes are four characters. */
  private static final int CHUNK = 48 << 10;

  private final Outbox outbox;
  private final AtomicLong ids;
  private final Map<Long, Output> open = new ConcurrentHashMap<>();

  /**
   * @param ids one for all sessions: the JavaScript SDK keeps the streams of all its sockets in one
   *     table
   */
  OutputStreams(Outbox outbox, AtomicLong ids) {
    this.outbox = outbox;
    this.ids = ids;
  }

  /** Nothing of it is sent before its first byte or its end. */
  public Output create() {
    Output output = new Output(ids.incrementAndGet());
    open.put(output.id, output);
    return output;
  }

  /** One that nothing else of this edge has. */
  public long number() {
    return ids.incrementAndGet();
  }

  void cancel(long id) {
    Output output = open.get(id);
    if (output != null) {
      output.cancelled = true;
    }
  }

  /** For use by one thread. */
  public final class Output {
    private final long id;
    private boolean started;
    private volatile boolean cancelled;

    private Output(long id) {
      this.id = id;
    }

    public long id() {
      return id;
    }

    public boolean cancelled() {
      return cancelled;
    }

    /** Waits while the client is slow. What a client has cancelled is thrown away. */
    public void write(ByteString data) throws InterruptedException {
      start();
      for (int from = 0; from < data.size() && !cancelled; from += CHUNK) {
        ByteString part = data.substring(from, Math.min(data.size(), from + CHUNK));
        outbox.send(
            Message.notification(
                InputStreams.ENQUEUE,
                Json.object().put("streamId", id).set("data", Json.base64(part.toByteArray()))));
      }
    }

    public void end() throws InterruptedException {
      start();
      if (open.remove(id) != null && !cancelled) {
        outbox.send(Message.notification(InputStreams.END, Json.object().put("streamId", id)));
      }
    }

    /** Nothing of it was sent, and nothing will be. */
    public void discard() {
      open.remove(id);
    }

    public void fail(String message) throws InterruptedException {
      start();
      if (open.remove(id) != null && !cancelled) {
        var params = Json.object().put("streamId", id);
        params.putObject("error").put("constructorName", "Error").put("message", message);
        outbox.send(Message.notification(InputStreams.ERROR, params));
        // The Python SDK knows no error of a stream.
        outbox.send(Message.notification(InputStreams.END, Json.object().put("streamId", id)));
      }
    }

    private void start() throws InterruptedException {
      if (!started) {
        started = true;
        outbox.send(Message.notification(InputStreams.START, Json.object().put("streamId", id)));
      }
    }
  }
}
