package dev.cofferdam.edge.session;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.websocket.CloseWebSocketFrame;
import com.linecorp.armeria.common.websocket.WebSocket;
import com.linecorp.armeria.common.websocket.WebSocketCloseStatus;
import com.linecorp.armeria.common.websocket.WebSocketFrame;
import com.linecorp.armeria.common.websocket.WebSocketWriter;
import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Message;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import io.grpc.Context;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.netty.util.concurrent.EventExecutor;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One socket. A thread of its own reads it; each call has a thread; answers go out as they come.
 * Messages of streams are dealt with in the order in which they came, calls begin in it.
 *
 * <p>However the socket ends, everything that was begun for it in the mesh is cancelled, and {@code
 * ended} runs once.
 */
public final class Session {
  private static final int INVALID_JSON = 4000;
  private static final int INVALID_MESSAGE = 4001;

  private static final String ABORT = "abort";

  /** How often a call's parameters are held while it is made: as text, decoded, on their way. */
  private static final int HELD = 3;

  /** For the client's own close. */
  private static final Duration CLOSING = Duration.ofSeconds(5);

  /** For the close of a socket that held too much. */
  private static final Duration TOLD = Duration.ofSeconds(1);

  /** For the news of a sandbox's end, which may come after the end of its streams. */
  private static final Duration NEWS = Duration.ofSeconds(5);

  private static final byte[] PING = "ping".getBytes(StandardCharsets.UTF_8);
  private static final byte[] PONG = "pong".getBytes(StandardCharsets.UTF_8);
  private static final Logger log = LoggerFactory.getLogger(Session.class);

  /**
   * What the socket lies on.
   *
   * @param loop its own. Armeria stops and resumes its reading, by what is taken, without a lock:
   *     with another loop one of the two may get lost, and nothing more is read
   * @param cutOff ends it, without waiting, once the socket is over
   * @param close ends it once what was written has gone out: its client has nothing more to say
   */
  public record Connection(EventExecutor loop, Runnable cutOff, Runnable close) {}

  private final SessionLimits limits;
  private final Peer peer;
  private final Connection connection;
  private final Frames frames;
  private final WebSocketWriter writer = WebSocket.streaming();
  private final Outbox outbox;
  private final InputStreams inputs;
  private final OutputStreams outputs;
  private final Map<String, Method> methods = new HashMap<>();
  private final Map<JsonNode, Boolean> waiting = new ConcurrentHashMap<>();
  private final Aborts aborts = new Aborts();
  private final Context.CancellableContext calls = Context.ROOT.withCancellation();
  private final MemoryBudget.Account memory;
  private final Executor executor;
  private final Runnable ended;
  private final Executor threads;
  private volatile boolean evicted;

  /** Known to the thread that reads. */
  private boolean clientClosed;

  private final AtomicBoolean over = new AtomicBoolean();
  private final CountDownLatch closing = new CountDownLatch(1);

  /**
   * @param ids of streams to clients, of all sessions
   * @param threads makes a thread for each task
   * @param memory closed with the session
   * @param ended what is to be done once nothing of the session runs any more
   */
  public Session(
      Tenant tenant,
      String sandbox,
      Peer peer,
      Connection connection,
      SessionLimits limits,
      AtomicLong ids,
      MemoryBudget.Account memory,
      List<SessionContext.PartFactory> parts,
      Executor threads,
      Runnable ended) {
    this.limits = limits;
    this.peer = peer;
    this.connection = connection;
    this.memory = memory;
    this.outbox = new Outbox(writer, limits.outputBytes(), limits.stall(), memory);
    this.inputs = new InputStreams(limits, outbox, memory);
    this.outputs = new OutputStreams(outbox, ids);
    this.frames = new Frames(inputs::close);
    this.threads = threads;
    this.executor = task -> threads.execute(calls.wrap(task));
    this.ended = ended;
    SessionContext context =
        new SessionContext(
            tenant,
            sandbox,
            peer,
            inputs,
            outputs,
            new Umask(),
            aborts,
            memory,
            new ConcurrentHashMap<>(),
            executor);
    methods.put(ABORT, this::abort);
    parts.forEach(part -> methods.putAll(part.of(context).methods()));
  }

  /** Begins to read; what it answers is to be sent to the client. */
  public WebSocket start(WebSocket in) {
    in.subscribe(frames, connection.loop());
    executor.execute(this::read);
    // Whoever asked for memory is not to wait until this session has ended.
    memory.whenOver(
        () -> threads.execute(this::evict),
        () -> writer.abort(new SessionClosedException("all that are ended hold too much")));
    return writer;
  }

  /** For what has to happen as long as the session lasts. */
  public void alongside(Runnable task) {
    executor.execute(task);
  }

  /** Ends it from this side. Safe to call from any thread and more than once. */
  public void end(String reason) {
    closing.countDown();
    if (peer.python()) {
      for (JsonNode id : List.copyOf(waiting.keySet())) {
        if (waiting.remove(id) != null) {
          outbox.sendAtOnce(Message.answer(id, CallError.closed()));
        }
      }
    }
    outbox.close(WebSocketCloseStatus.NORMAL_CLOSURE, reason);
    frames.stop();
  }

  /** What it holds is let go of at once: its client is told, and not waited for. */
  private void evict() {
    log.atWarn().setMessage("session_evicted").log();
    closing.countDown();
    outbox.close(WebSocketCloseStatus.TRY_AGAIN_LATER, "all sockets together hold too much");
    // Whoever reads ends by it, and would end the socket without a word.
    evicted = true;
    inputs.close();
    calls.cancel(null);
    outbox.release();
    frames.stop();
  }

  private void read() {
    ByteArrayOutputStream message = new ByteArrayOutputStream();
    try {
      for (Optional<WebSocketFrame> next = frames.next(); next.isPresent(); next = frames.next()) {
        try (WebSocketFrame frame = next.get()) {
          long came = Arrived.bytes(frame);
          if (evicted || !take(frame, message)) {
            return;
          }
          memory.subtract(came);
        }
        frames.more();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SessionClosedException e) {
      // Its cause was told where it arose.
    } catch (RuntimeException e) {
      log.atError().setMessage("session_failed").setCause(e).log();
      outbox.close(WebSocketCloseStatus.INTERNAL_SERVER_ERROR, "internal error");
    } finally {
      finish();
    }
  }

  /** Whether to read on. */
  private boolean take(WebSocketFrame frame, ByteArrayOutputStream message)
      throws InterruptedException {
    switch (frame.type()) {
      case TEXT, CONTINUATION -> {
        byte[] part = frame.array();
        if (message.size() + part.length > limits.messageBytes()) {
          outbox.close(
              WebSocketCloseStatus.MESSAGE_TOO_BIG,
              "a message has over " + limits.messageBytes() + " bytes");
          return false;
        }
        message.writeBytes(part);
        memory.add(part.length);
        if (!frame.isFinalFragment()) {
          return true;
        }
        byte[] whole = message.toByteArray();
        message.reset();
        try {
          return handle(whole);
        } finally {
          memory.subtract(whole.length);
        }
      }
      case BINARY -> {
        outbox.close(WebSocketCloseStatus.INVALID_MESSAGE_TYPE, "text alone is spoken here");
        return false;
      }
      case PING -> outbox.pong(frame.array());
      case CLOSE -> {
        clientClosed = true;
        WebSocketCloseStatus status = ((CloseWebSocketFrame) frame).status();
        outbox.close(status == null ? WebSocketCloseStatus.NORMAL_CLOSURE : status, "");
        return false;
      }
      default -> {
        // A pong needs nothing.
      }
    }
    return true;
  }

  private boolean handle(byte[] text) throws InterruptedException {
    if (Arrays.equals(text, PING)) {
      outbox.send(PONG.clone());
      return true;
    }
    Optional<JsonNode> parsed = Json.WHOLE.read(text, text.length);
    if (parsed.isEmpty()) {
      outbox.close(INVALID_JSON, "Invalid JSON");
      return false;
    }
    Optional<Message> message = Message.of(parsed.get());
    if (message.isEmpty()) {
      outbox.close(INVALID_MESSAGE, "Invalid message");
      return false;
    }
    return switch (message.get()) {
      case Message.Call call -> {
        begin(call, (long) text.length * HELD);
        yield true;
      }
      case Message.Notification notification -> notified(notification);
    };
  }

  private boolean notified(Message.Notification notification) throws InterruptedException {
    Params params = new Params(notification.params());
    try {
      switch (notification.method()) {
        case InputStreams.START -> inputs.start(params.number("streamId"));
        case InputStreams.ENQUEUE -> inputs.enqueue(params.number("streamId"), params);
        case InputStreams.END -> inputs.end(params.number("streamId"));
        case InputStreams.ERROR ->
            inputs.error(params.number("streamId"), "the client's stream failed");
        case InputStreams.CANCEL -> outputs.cancel(params.number("streamId"));
        default -> {
          // JSON-RPC 2.0, section 4.1: what is unknown goes unanswered.
        }
      }
      return true;
    } catch (CallError e) {
      outbox.close(INVALID_MESSAGE, "Invalid message");
      return false;
    }
  }

  /**
   * @param held bytes, until it is answered
   */
  private void begin(Message.Call call, long held) throws InterruptedException {
    if (waiting.size() >= limits.calls()) {
      outbox.send(
          Message.answer(
              call.id(),
              CallError.tooMany("over %d calls wait already".formatted(limits.calls()))));
      return;
    }
    if (waiting.putIfAbsent(call.id(), true) != null) {
      outbox.send(
          Message.answer(call.id(), CallError.tooMany("a call with this id waits already")));
      return;
    }
    // Here, not on the call's own thread: what aborts it may be the next message.
    Aborts.Interrupted thread = new Aborts.Interrupted();
    JsonNode abortId = call.params().path("abortId");
    Optional<Aborts.Registration> abortable =
        abortId.isIntegralNumber() && !call.method().equals(ABORT)
            ? Optional.of(aborts.on(abortId.longValue(), thread::abort))
            : Optional.empty();
    memory.add(held);
    executor.execute(() -> {
      try {
        answer(call, thread);
      } finally {
        memory.subtract(held);
        abortable.ifPresent(Aborts.Registration::close);
      }
    });
  }

  private JsonNode abort(Params params) throws CallError {
    aborts.abort(params.number("abortId"));
    return NullNode.getInstance();
  }

  private void answer(Message.Call call, Aborts.Interrupted thread) {
    try {
      byte[] answer = unlessAborted(call, thread);
      if (waiting.remove(call.id()) != null) {
        outbox.send(answer);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SessionClosedException e) {
      frames.stop();
    } finally {
      waiting.remove(call.id());
    }
  }

  private byte[] unlessAborted(Message.Call call, Aborts.Interrupted thread)
      throws InterruptedException {
    Optional<byte[]> answer;
    thread.begin();
    try {
      answer = Optional.of(outcome(call));
    } catch (InterruptedException e) {
      if (!thread.aborted()) {
        throw e;
      }
      answer = Optional.empty();
    }
    return thread.end() || answer.isEmpty()
        ? Json.bytes(Message.answer(call.id(), SdkError.aborted()))
        : answer.get();
  }

  private byte[] outcome(Message.Call call) throws InterruptedException {
    byte[] text = Json.bytes(result(call));
    return text.length <= peer.messageBytes() ? text : Json.bytes(tooLong(call, text.length));
  }

  private ObjectNode result(Message.Call call) throws InterruptedException {
    Method method = methods.get(call.method());
    try {
      if (method == null) {
        throw CallError.methodNotFound(call.method());
      }
      return Message.answer(call.id(), method.call(new Params(call.params())));
    } catch (CallError e) {
      return Message.answer(call.id(), e);
    } catch (SdkError e) {
      return Message.answer(call.id(), e);
    } catch (StatusException e) {
      return failed(call, SdkError.of(e));
    } catch (StatusRuntimeException e) {
      return failed(call, SdkError.of(e));
    } catch (SessionClosedException e) {
      throw e;
    } catch (RuntimeException e) {
      log.atError()
          .setMessage("call_failed")
          .addKeyValue("method", call.method())
          .setCause(e)
          .log();
      return Message.answer(call.id(), CallError.internal());
    }
  }

  /** What fails because the sandbox has ended is told by the end of the socket. */
  private ObjectNode failed(Message.Call call, SdkError error) throws InterruptedException {
    if (!error.ofGuest() && closing.await(NEWS.toMillis(), TimeUnit.MILLISECONDS)) {
      throw new SessionClosedException("the sandbox has ended");
    }
    return Message.answer(call.id(), error);
  }

  /** An answer that the SDK cannot take would end the session, and with it every other call. */
  private ObjectNode tooLong(Message.Call call, int size) {
    return Message.answer(
        call.id(),
        new SdkError(
            "RangeError",
            "ERR_OUT_OF_RANGE",
            "the answer has %d bytes, and this SDK takes %d in one message"
                .formatted(size, peer.messageBytes())));
  }

  private void finish() {
    closing.countDown();
    if (over.compareAndSet(false, true)) {
      inputs.close();
      calls.cancel(null);
      writer.close();
      outbox.release();
      ended.run();
      try {
        // A socket that is cut off before its client has closed may lose what it was told last. A
        // client that has closed sends nothing more, and waits for the connection's end.
        if (evicted || clientClosed) {
          awaitTold();
        } else {
          clientClosed = frames.drain(CLOSING);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      frames.end();
      memory.close();
      if (evicted) {
        connection.cutOff().run();
      } else if (clientClosed) {
        // It waits for that (RFC 6455 section 7.1.1), and would for as long as Armeria does.
        connection.close().run();
      }
    }
  }

  /** Why it ends is on its way. For who takes nothing of it nothing is kept for longer. */
  private void awaitTold() throws InterruptedException {
    try {
      writer.whenComplete().get(TOLD.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException | TimeoutException e) {
      // Then it is cut off.
    }
  }
}
