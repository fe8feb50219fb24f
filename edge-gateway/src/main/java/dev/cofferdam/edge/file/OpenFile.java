package dev.cofferdam.edge.file;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.MemoryBudget;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.OpenFileRequest;
import dev.cofferdam.v1.OpenFileResponse;
import dev.cofferdam.v1.OpenFileTarget;
import io.grpc.StatusException;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/** A file that is open in the guest as long as its call lasts. One operation at a time. */
final class OpenFile implements AutoCloseable {
  /** As much as the sandbox's agent reads for one request. */
  private static final int MAX_READ = 16 << 20;

  private final TwoWayCall<OpenFileRequest, OpenFileResponse> call;
  private final ReentrantLock turn = new ReentrantLock(true);

  private final MemoryBudget.Account memory;

  private OpenFile(
      TwoWayCall<OpenFileRequest, OpenFileResponse> call, MemoryBudget.Account memory) {
    this.call = call;
    this.memory = memory;
  }

  static OpenFile open(SessionContext context, OpenFileTarget target)
      throws SdkError, StatusException, InterruptedException {
    OpenFile file = new OpenFile(context.tenant().openFile(), context.memory());
    boolean whole = false;
    try {
      var _ =
          file.ask(
              OpenFileRequest.newBuilder().setSandbox(context.sandbox()).setTarget(target).build());
      whole = true;
      return file;
    } finally {
      if (!whole) {
        file.close();
      }
    }
  }

  /**
   * @throws SdkError when the guest's kernel refused it; the file is open still
   */
  OpenFileResponse ask(OpenFileRequest request)
      throws SdkError, StatusException, InterruptedException {
    turn.lockInterruptibly();
    try {
      Optional<OpenFileResponse> answer = call.write(request) ? call.read() : Optional.empty();
      if (answer.isEmpty()) {
        throw closed();
      }
      return answered(answer.get());
    } finally {
      turn.unlock();
    }
  }

  private static OpenFileResponse answered(OpenFileResponse answer) throws SdkError {
    if (answer.hasFailure()) {
      throw SdkError.of(answer.getFailure().getReason(), answer.getFailure().getMessage());
    }
    return answer;
  }

  static SdkError closed() {
    return new SdkError("BadResource", "EBADF", "the file is not open");
  }

  /** At once for all others: what is written in the meantime stands before or after it. */
  void write(ByteString data) throws SdkError, StatusException, InterruptedException {
    turn.lockInterruptibly();
    try {
      for (int from = 0; from < data.size(); from += GuestFiles.CHUNK) {
        ByteString part = data.substring(from, Math.min(data.size(), from + GuestFiles.CHUNK));
        var _ = ask(OpenFileRequest.newBuilder().setWrite(part).build());
      }
    } finally {
      turn.unlock();
    }
  }

  /**
   * Up to so many bytes; empty at the end of the file. They are asked for at once: the way to the
   * guest and back takes longer than the reading.
   */
  ByteString read(long most) throws SdkError, StatusException, InterruptedException {
    int length = (int) Math.min(MAX_READ, most);
    if (length == 0) {
      return ByteString.EMPTY;
    }
    ByteString read = ByteString.EMPTY;
    boolean answered = false;
    turn.lockInterruptibly();
    try {
      if (!call.write(OpenFileRequest.newBuilder().setReadFully(length).build())) {
        throw closed();
      }
      while (!answered) {
        OpenFileResponse answer = call.read().orElseThrow(OpenFile::closed);
        read = read.concat(answer.getData());
        memory.add(answer.getData().size());
        answered = answer.hasFailure() || answer.getData().isEmpty() || read.size() >= length;
        // What was read before it is not lost; the next one meets it again.
        if (read.isEmpty()) {
          var _ = answered(answer);
        }
      }
      return read;
    } finally {
      memory.subtract(read.size());
      if (!answered) {
        // Another operation would take the rest of the answers for its own.
        close();
      }
      turn.unlock();
    }
  }

  /** Ends what waits in it too. */
  @Override
  public void close() {
    call.cancel("closed");
  }
}
