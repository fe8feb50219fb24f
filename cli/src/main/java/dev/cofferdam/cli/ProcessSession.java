package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.AttachPoint;
import dev.cofferdam.v1.AttachProcessRequest;
import dev.cofferdam.v1.CloseStdin;
import dev.cofferdam.v1.OutputChunk;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.SignalProcessRequest;
import dev.cofferdam.v1.StartProcessRequest;
import dev.cofferdam.v1.TerminalSize;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One process in a sandbox with this process's streams tied to its own.
 *
 * <p>A stream that breaks is taken up again from the first byte that was not written out. Input
 * that was on its way when it broke may be lost: the protocol counts output only.
 */
final class ProcessSession {
  private static final int CHUNK = 32 * 1024;

  private final ProcessServiceGrpc.ProcessServiceBlockingV2Stub stub;
  private final String sandbox;
  private final ProcessSpec spec;
  private final OutputStream stdout;
  private final OutputStream stderr;
  private final Patience patience = Patience.much();
  private final Input input = new Input();

  /** A signal's number that was not passed on yet, or 0. */
  private final AtomicInteger early = new AtomicInteger();

  private volatile boolean started;
  private long stdoutOffset;
  private long stderrOffset;

  /**
   * @param spec names its process, so that a start that broke can be repeated
   */
  ProcessSession(
      Channel channel, String sandbox, ProcessSpec spec, OutputStream stdout, OutputStream stderr) {
    if (spec.getProcess().isEmpty()) {
      throw new IllegalArgumentException("the process has no id of the caller's choice");
    }
    this.stub = ProcessServiceGrpc.newBlockingV2Stub(channel);
    this.sandbox = sandbox;
    this.spec = spec;
    this.stdout = stdout;
    this.stderr = stderr;
  }

  /** Runs it to its end. Writes to both outputs happen on this thread. */
  ProcessExited run() throws StatusException, IOException, InterruptedException {
    while (true) {
      try {
        ProcessExited exited = started ? attach() : start();
        input.end();
        return exited;
      } catch (StatusException e) {
        try {
          patience.after(e);
        } catch (StatusException over) {
          input.end();
          throw over;
        }
      }
    }
  }

  /** Copies everything to the process's stdin; for a thread of its own. Ends with the session. */
  void pump(InputStream from) throws IOException, InterruptedException {
    byte[] buffer = new byte[CHUNK];
    for (int count = from.read(buffer); count >= 0; count = from.read(buffer)) {
      if (count > 0 && !input.send(new Input.Data(ByteString.copyFrom(buffer, 0, count)))) {
        return;
      }
    }
    var _ = input.send(new Input.Close());
  }

  /** One that comes before the process has started waits for its start. */
  void signal(int number) {
    early.set(number);
    if (started) {
      deliverSignal();
    }
  }

  private void deliverSignal() {
    int number = early.getAndSet(0);
    if (number == 0) {
      return;
    }
    try {
      var _ =
          stub.withDeadlineAfter(10, TimeUnit.SECONDS)
              .signalProcess(
                  SignalProcessRequest.newBuilder()
                      .setSandbox(sandbox)
                      .setProcess(spec.getProcess())
                      .setSignal(number)
                      .build());
    } catch (StatusException e) {
      // The process ended meanwhile, or the mesh is away: the stream says which.
    }
  }

  void resize(TerminalSize size) throws InterruptedException {
    var _ = input.send(new Input.Resize(size));
  }

  private ProcessExited start() throws StatusException, IOException, InterruptedException {
    BlockingClientCall<StartProcessRequest, ProcessEvent> call = stub.startProcess();
    try {
      call.write(StartProcessRequest.newBuilder().setSandbox(sandbox).setSpec(spec).build());
      return follow(call, message -> call.write(startMessage(message)));
    } finally {
      call.cancel("done", null);
    }
  }

  private ProcessExited attach() throws StatusException, IOException, InterruptedException {
    BlockingClientCall<AttachProcessRequest, ProcessEvent> call = stub.attachProcess();
    try {
      call.write(
          AttachProcessRequest.newBuilder()
              .setSandbox(sandbox)
              .setPoint(
                  AttachPoint.newBuilder()
                      .setProcess(spec.getProcess())
                      .setStdoutOffset(stdoutOffset)
                      .setStderrOffset(stderrOffset))
              .build());
      return follow(call, message -> call.write(attachMessage(message)));
    } finally {
      call.cancel("done", null);
    }
  }

  private ProcessExited follow(BlockingClientCall<?, ProcessEvent> call, Input.Sink sink)
      throws StatusException, IOException, InterruptedException {
    input.open(sink);
    try {
      for (ProcessEvent event = call.read(); event != null; event = call.read()) {
        patience.renew();
        switch (event.getEventCase()) {
          case STARTED -> {
            started = true;
            // On a thread of its own: this one reads what the signal may bring about.
            Thread.ofVirtual().start(this::deliverSignal);
          }
          case STDOUT -> stdoutOffset = write(stdout, event.getStdout(), stdoutOffset);
          case STDERR -> stderrOffset = write(stderr, event.getStderr(), stderrOffset);
          case EXITED -> {
            return event.getExited();
          }
          case EVENT_NOT_SET -> {
            // A later version's event: nothing that this one could show.
          }
        }
      }
    } finally {
      input.shut();
    }
    throw Status.UNAVAILABLE.withDescription("the stream ended before the process").asException();
  }

  /** Returns the offset of the next byte wanted. What was written out already is skipped. */
  private static long write(OutputStream to, OutputChunk chunk, long wanted)
      throws StatusException, IOException {
    ByteString data = chunk.getData();
    if (chunk.getOffset() > wanted) {
      throw Status.DATA_LOSS
          .withDescription(
              "output from byte %d to %d is missing".formatted(wanted, chunk.getOffset()))
          .asException();
    }
    long skipped = Math.min(data.size(), wanted - chunk.getOffset());
    data.substring((int) skipped).writeTo(to);
    to.flush();
    return Math.max(wanted, chunk.getOffset() + data.size());
  }

  private static StartProcessRequest startMessage(Input.Message message) {
    StartProcessRequest.Builder request = StartProcessRequest.newBuilder();
    switch (message) {
      case Input.Data data -> request.setStdin(data.bytes());
      case Input.Close _ -> request.setCloseStdin(CloseStdin.getDefaultInstance());
      case Input.Resize resize -> request.setResize(resize.size());
    }
    return request.build();
  }

  private static AttachProcessRequest attachMessage(Input.Message message) {
    AttachProcessRequest.Builder request = AttachProcessRequest.newBuilder();
    switch (message) {
      case Input.Data data -> request.setStdin(data.bytes());
      case Input.Close _ -> request.setCloseStdin(CloseStdin.getDefaultInstance());
      case Input.Resize resize -> request.setResize(resize.size());
    }
    return request.build();
  }
}
