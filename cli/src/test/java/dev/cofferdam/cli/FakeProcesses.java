package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.AttachProcessRequest;
import dev.cofferdam.v1.OutputChunk;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.ProcessStarted;
import dev.cofferdam.v1.SignalProcessRequest;
import dev.cofferdam.v1.SignalProcessResponse;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Processes that understand one command each: {@code cat} (stdin to stdout), {@code say WORD},
 * {@code exit N}, {@code die SIGNAL}, {@code wait} (until signalled). Their output can be made to
 * break off after some bytes; an attach goes on from its offset.
 */
final class FakeProcesses extends ProcessServiceGrpc.ProcessServiceImplBase {
  final BlockingQueue<ProcessSpec> specs = new LinkedBlockingQueue<>();
  final BlockingQueue<Long> attachedAt = new LinkedBlockingQueue<>();
  final BlockingQueue<Integer> signals = new LinkedBlockingQueue<>();

  /** So many streams break after {@link #breakAfter} bytes each, with {@link #breakWith}. */
  final AtomicInteger breaks = new AtomicInteger();

  volatile Status breakWith = Status.UNAVAILABLE;

  /** How many bytes before the wanted offset an attach begins, as a replay may. */
  volatile int replayed;

  volatile int breakAfter = 4;

  private volatile ByteString output = ByteString.EMPTY;

  @Override
  public StreamObserver<StartProcessRequest> startProcess(StreamObserver<ProcessEvent> answers) {
    return new StreamObserver<>() {
      private ProcessSpec spec = ProcessSpec.getDefaultInstance();
      private ByteString typed = ByteString.EMPTY;

      @Override
      public void onNext(StartProcessRequest request) {
        switch (request.getMessageCase()) {
          case SPEC -> {
            spec = request.getSpec();
            specs.add(spec);
            answers.onNext(
                ProcessEvent.newBuilder()
                    .setStarted(ProcessStarted.newBuilder().setProcess(spec.getProcess()).setPid(7))
                    .build());
            begin(spec.getArgvList(), answers);
          }
          case STDIN -> typed = typed.concat(request.getStdin());
          case CLOSE_STDIN -> {
            if (spec.getArgv(0).equals("cat")) {
              output = typed;
              send(0, answers);
            }
          }
          case RESIZE, MESSAGE_NOT_SET -> {}
        }
      }

      @Override
      public void onError(Throwable failure) {}

      @Override
      public void onCompleted() {}
    };
  }

  private void begin(List<String> argv, StreamObserver<ProcessEvent> answers) {
    switch (argv.getFirst()) {
      case "say" -> {
        output = ByteString.copyFromUtf8(argv.get(1));
        send(0, answers);
      }
      case "exit" ->
          end(ProcessExited.newBuilder().setExitCode(Integer.parseInt(argv.get(1))), answers);
      case "die" ->
          end(ProcessExited.newBuilder().setSignal(Integer.parseInt(argv.get(1))), answers);
      case "wait" ->
          Thread.ofVirtual()
              .start(() -> {
                try {
                  end(ProcessExited.newBuilder().setSignal(signals.take()), answers);
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
              });
      case "cat" -> {
        // Answers when its stdin ends.
      }
      default -> answers.onError(Status.NOT_FOUND.withDescription(argv.getFirst()).asException());
    }
  }

  @Override
  public StreamObserver<AttachProcessRequest> attachProcess(StreamObserver<ProcessEvent> answers) {
    return new StreamObserver<>() {
      @Override
      public void onNext(AttachProcessRequest request) {
        if (request.hasPoint()) {
          long offset = request.getPoint().getStdoutOffset();
          attachedAt.add(offset);
          send((int) Math.max(0, offset - replayed), answers);
        }
      }

      @Override
      public void onError(Throwable failure) {}

      @Override
      public void onCompleted() {}
    };
  }

  @Override
  public void signalProcess(
      SignalProcessRequest request, StreamObserver<SignalProcessResponse> answer) {
    signals.add(request.getSignal());
    answer.onNext(SignalProcessResponse.getDefaultInstance());
    answer.onCompleted();
  }

  private void send(int from, StreamObserver<ProcessEvent> answers) {
    boolean breaking = breaks.getAndUpdate(left -> Math.max(0, left - 1)) > 0;
    int to = breaking ? Math.min(output.size(), from + replayed + breakAfter) : output.size();
    answers.onNext(
        ProcessEvent.newBuilder()
            .setStdout(OutputChunk.newBuilder().setOffset(from).setData(output.substring(from, to)))
            .build());
    if (breaking) {
      answers.onError(breakWith.withDescription("the relay is gone").asException());
    } else {
      end(ProcessExited.newBuilder(), answers);
    }
  }

  private static void end(ProcessExited.Builder exited, StreamObserver<ProcessEvent> answers) {
    answers.onNext(ProcessEvent.newBuilder().setExited(exited).build());
    answers.onCompleted();
  }
}
