package dev.cofferdam.edge.process;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.session.InputStreams.Input;
import dev.cofferdam.edge.session.InputStreams.InputFailedException;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.CloseStdin;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.StatusException;
import java.util.Optional;

/**
 * The standard input of a process that was started. Whoever reads its events is told where the call
 * fails. What is written waits for the process: for a thread of its own.
 */
public final class Stdin {
  /** Of one message to the guest. */
  private static final int CHUNK = 64 << 10;

  /** There is no more, or was none. */
  static final StartProcessRequest END =
      StartProcessRequest.newBuilder().setCloseStdin(CloseStdin.getDefaultInstance()).build();

  private final TwoWayCall<StartProcessRequest, ProcessEvent> call;

  public Stdin(TwoWayCall<StartProcessRequest, ProcessEvent> call) {
    this.call = call;
  }

  /**
   * Copies what a client sends, up to its end.
   *
   * @param failed what to do where the client's stream fails
   */
  public void feed(Input input, Runnable failed) {
    try (input) {
      for (Optional<ByteString> next = input.next(); next.isPresent(); next = input.next()) {
        ByteString data = next.get();
        for (int from = 0; from < data.size(); from += CHUNK) {
          ByteString part = data.substring(from, Math.min(data.size(), from + CHUNK));
          if (!call.write(StartProcessRequest.newBuilder().setStdin(part).build())) {
            return;
          }
        }
      }
      end();
    } catch (InputFailedException e) {
      failed.run();
    } catch (StatusException e) {
      // It has exited, or its streams broke.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  public void close() {
    try {
      end();
    } catch (StatusException e) {
      // As in feed().
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void end() throws StatusException, InterruptedException {
    var _ = call.write(END);
  }
}
