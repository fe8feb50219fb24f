package dev.cofferdam.edge.fetch;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.process.Stdin;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.InputStreams.Input;
import dev.cofferdam.edge.session.OutputStreams.Output;
import dev.cofferdam.edge.session.SessionClosedException;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.SignalProcessRequest;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request, made by curl in the sandbox: it leaves as whatever the sandbox sends, with the
 * sandbox's trust and under its policy. It ends with {@link #close}, whatever it does then.
 */
final class Curl implements AutoCloseable {
  private static final int HEAD_BYTES = 256 << 10;
  private static final int SAID_BYTES = 4 << 10;

  private static final int SIGKILL = 9;
  private static final Logger log = LoggerFactory.getLogger(Curl.class);

  private final SessionContext context;
  private final String process;
  private final TwoWayCall<StartProcessRequest, ProcessEvent> call;
  private final AtomicBoolean closed = new AtomicBoolean();
  private ByteString received = ByteString.EMPTY;
  private ByteString said = ByteString.EMPTY;
  private volatile boolean exited;

  private Curl(
      SessionContext context, String process, TwoWayCall<StartProcessRequest, ProcessEvent> call) {
    this.context = context;
    this.process = process;
    this.call = call;
  }

  /**
   * @param process a name that nothing in the sandbox has, so that it can be killed whatever
   *     becomes of the call
   */
  static Curl start(
      SessionContext context, String process, FetchRequest request, Optional<Input> body)
      throws SdkError, StatusException, InterruptedException {
    Curl curl = new Curl(context, process, context.tenant().startProcess());
    boolean begun = false;
    try {
      curl.begin(request);
      Stdin stdin = new Stdin(curl.call);
      if (body.isPresent()) {
        // What has half its body shall not look whole.
        context.executor().execute(() -> stdin.feed(body.get(), curl::close));
      } else {
        // Not here: what has answered and ended already takes no more until its answer is read.
        context.executor().execute(stdin::close);
      }
      begun = true;
      return curl;
    } finally {
      if (!begun) {
        curl.close();
      }
    }
  }

  private void begin(FetchRequest request) throws SdkError, StatusException, InterruptedException {
    try {
      var _ =
          call.write(
              StartProcessRequest.newBuilder()
                  .setSandbox(context.sandbox())
                  .setSpec(
                      ProcessSpec.newBuilder().addAllArgv(request.command()).setProcess(process))
                  .build());
      if (call.read().filter(ProcessEvent::hasStarted).isEmpty()) {
        throw Status.UNAVAILABLE.withDescription("the request did not start").asException();
      }
    } catch (StatusException e) {
      exited = true;
      if (Refusals.reason(e).equals(Optional.of(ErrorReason.ERROR_REASON_COMMAND_NOT_FOUND))) {
        throw new SdkError(
            "NotSupported", "NOT_SERVED", "fetch is done by curl, which this sandbox lacks");
      }
      throw e;
    }
  }

  /** Waits for the head of the last answer; those of status 1xx are passed over. */
  Head head() throws SdkError, StatusException, InterruptedException {
    while (true) {
      Optional<Head> head = nextHead();
      if (head.isPresent() && head.get().last()) {
        return head.get();
      }
      if (head.isEmpty()) {
        if (received.size() > HEAD_BYTES) {
          throw FetchRequest.failed("ERR_FETCH", "the answer's head is over 256 KiB");
        }
        Optional<ProcessExited> exit = more();
        if (exit.isPresent()) {
          throw failed(exit.get());
        }
      }
    }
  }

  private Optional<Head> nextHead() throws SdkError {
    List<String> lines = new ArrayList<>();
    int from = 0;
    for (int i = 0; i < received.size() && i <= HEAD_BYTES; i++) {
      if (received.byteAt(i) == '\n') {
        String line = received.substring(from, i).toString(StandardCharsets.ISO_8859_1);
        from = i + 1;
        if (line.endsWith("\r")) {
          line = line.substring(0, line.length() - 1);
        }
        if (line.isEmpty()) {
          received = received.substring(from);
          return Optional.of(Head.parse(lines));
        }
        lines.add(line);
      }
    }
    return Optional.empty();
  }

  /** Takes what comes next; present at the end. */
  private Optional<ProcessExited> more() throws StatusException, InterruptedException {
    ProcessEvent event =
        call.read()
            .orElseThrow(() ->
                Status.UNAVAILABLE
                    .withDescription("the stream ended before the answer")
                    .asException());
    switch (event.getEventCase()) {
      case STDOUT -> received = received.concat(event.getStdout().getData());
      case STDERR -> {
        ByteString all = said.concat(event.getStderr().getData());
        said = all.substring(0, Math.min(all.size(), SAID_BYTES));
      }
      case EXITED -> {
        exited = true;
        return Optional.of(event.getExited());
      }
      case STARTED, EVENT_NOT_SET -> {
        // Nothing of the answer.
      }
    }
    return Optional.empty();
  }

  /** By curl's exit code, curl(1). */
  private SdkError failed(ProcessExited exit) {
    String code =
        switch (exit.getExitCode()) {
          case 6 -> "ENOTFOUND";
          case 7 -> "ECONNREFUSED";
          case 28 -> "ETIMEDOUT";
          case 52, 55, 56 -> "ECONNRESET";
          default -> "ERR_FETCH";
        };
    String words = said.toString(StandardCharsets.UTF_8).strip();
    return FetchRequest.failed(
        code, words.isEmpty() ? "curl ended with " + exit.getExitCode() : words);
  }

  /** The answer's body, until its end; for a thread of its own. */
  void copy(Output out) {
    try (this) {
      Optional<ProcessExited> exit = Optional.empty();
      while (exit.isEmpty() && !out.cancelled()) {
        if (!received.isEmpty()) {
          ByteString data = received;
          received = ByteString.EMPTY;
          out.write(data);
        }
        exit = more();
      }
      if (exit.isPresent() && exit.get().getExitCode() == 0 && exit.get().getSignal() == 0) {
        out.end();
      } else {
        out.fail(exit.map(end -> String.valueOf(failed(end).getMessage())).orElse("cancelled"));
      }
    } catch (StatusException e) {
      fail(out);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SessionClosedException e) {
      // Nobody is left to be told.
    }
  }

  private static void fail(Output out) {
    try {
      out.fail("the answer broke off");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SessionClosedException e) {
      // As in copy().
    }
  }

  /** A stream that breaks leaves its process running, so that it is killed by its name. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      call.cancel("done");
      if (!exited) {
        // Neither with the session, which may have ended, nor by a thread that was interrupted.
        context.executor().execute(Context.ROOT.wrap(this::kill));
      }
    }
  }

  private void kill() {
    try {
      var _ =
          context
              .tenant()
              .processes()
              .signalProcess(
                  SignalProcessRequest.newBuilder()
                      .setSandbox(context.sandbox())
                      .setProcess(process)
                      .setSignal(SIGKILL)
                      .build());
    } catch (StatusException e) {
      // It has ended, or its sandbox has.
      log.atDebug().setMessage("fetch_left").addKeyValue("status", e.getStatus().getCode()).log();
    }
  }
}
