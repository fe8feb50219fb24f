package dev.cofferdam.edge.process;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.StatusException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;

/**
 * What is said to a REPL's script, {@code repl.mjs}, and what it answers: one question at a time.
 * Safe for use by several threads.
 */
final class Repl {
  private static final long PAUSE_MILLIS = 50;

  private final SessionContext context;
  private final int port;
  private final ReentrantLock lock = new ReentrantLock();
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile Optional<PortCall> connection = Optional.empty();
  private ByteString rest = ByteString.EMPTY;

  Repl(SessionContext context, int port) {
    this.context = context;
    this.port = port;
  }

  JsonNode ask(JsonNode question, long pid, Running process)
      throws SdkError, StatusException, InterruptedException {
    lock.lockInterruptibly();
    boolean answered = false;
    try {
      PortCall to = connected(pid, process);
      to.write(ByteString.copyFromUtf8(question + "\n"));
      String line = line(to, pid);
      answered = true;
      return answer(line);
    } catch (StatusException e) {
      if (Refusals.reason(e).equals(Optional.of(ErrorReason.ERROR_REASON_CONNECTION_RESET))) {
        throw SdkError.processGone(pid);
      }
      throw e;
    } finally {
      if (!answered) {
        // An answer that comes later would be taken for the next question's.
        close();
      }
      lock.unlock();
    }
  }

  /** Its script takes some time to listen. */
  private PortCall connected(long pid, Running process)
      throws SdkError, StatusException, InterruptedException {
    while (!closed.get()) {
      if (connection.isPresent()) {
        return connection.get();
      }
      try {
        connection = Optional.of(PortCall.open(context, port));
      } catch (StatusException e) {
        if (!Refusals.reason(e).equals(Optional.of(ErrorReason.ERROR_REASON_PORT_CLOSED))) {
          throw e;
        }
        if (process.ended(PAUSE_MILLIS)) {
          throw SdkError.processGone(pid);
        }
      }
    }
    // It may have been made after whoever closed had looked.
    connection.ifPresent(PortCall::close);
    throw SdkError.processGone(pid);
  }

  private String line(PortCall from, long pid)
      throws SdkError, StatusException, InterruptedException {
    int looked = 0;
    while (true) {
      for (; looked < rest.size(); looked++) {
        if (rest.byteAt(looked) == '\n') {
          String line = rest.substring(0, looked).toString(StandardCharsets.UTF_8);
          context.memory().subtract(rest.size());
          rest = rest.substring(looked + 1);
          context.memory().add(rest.size());
          return line;
        }
      }
      if (rest.size() > context.peer().messageBytes()) {
        throw new SdkError("RangeError", "ERR_OUT_OF_RANGE", "the answer is larger than a message");
      }
      ByteString next = from.read().orElseThrow(() -> SdkError.processGone(pid));
      context.memory().add(next.size());
      rest = rest.concat(next);
    }
  }

  private JsonNode answer(String line) throws SdkError {
    JsonNode answer =
        Json.WHOLE
            .read(line)
            .orElseThrow(() -> new SdkError("Error", "ERR_REPL", "the answer is no JSON"));
    JsonNode error = answer.path("error");
    if (error.isObject()) {
      String constructor = error.path("constructorName").asText();
      throw new SdkError(
          constructor.matches("[A-Za-z]{1,64}") ? constructor : "Error",
          "",
          error.path("message").asText());
    }
    JsonNode ok = answer.path("ok");
    return ok.isMissingNode() ? NullNode.getInstance() : ok;
  }

  /** What is asked meanwhile fails. */
  void close() {
    closed.set(true);
    // Read without the lock: whoever holds it may be waiting for an answer.
    connection.ifPresent(PortCall::close);
  }
}
