package dev.cofferdam.edge.file;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.FileFailure;
import dev.cofferdam.v1.OpenFileRequest;
import dev.cofferdam.v1.OpenFileResponse;
import dev.cofferdam.v1.OpenFileTarget;
import io.grpc.StatusException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/** A file that is open in the guest as long as its call lasts. One operation at a time. */
final class OpenFile implements AutoCloseable {
  /** Reads that are on their way at a time. */
  private static final int AHEAD = 4;

  private final TwoWayCall<OpenFileRequest, OpenFileResponse> call;
  private final ReentrantLock turn = new ReentrantLock(true);

  private OpenFile(TwoWayCall<OpenFileRequest, OpenFileResponse> call) {
    this.call = call;
  }

  static OpenFile open(SessionContext context, OpenFileTarget target)
      throws SdkError, StatusException, InterruptedException {
    OpenFile file = new OpenFile(context.tenant().openFile());
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
      if (answer.get().hasFailure()) {
        throw SdkError.of(
            answer.get().getFailure().getReason(), answer.get().getFailure().getMessage());
      }
      return answer.get();
    } finally {
      turn.unlock();
    }
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
   * Up to so many bytes; empty at the end of the file. Several reads are on their way at a time:
   * one that waits for the one before it is as slow as the way to the guest and back.
   */
  ByteString read(long length) throws SdkError, StatusException, InterruptedException {
    ByteString read = ByteString.EMPTY;
    Deque<Integer> asked = new ArrayDeque<>();
    long wanted = length;
    Optional<FileFailure> failure = Optional.empty();
    turn.lockInterruptibly();
    try {
      while (wanted > 0 || !asked.isEmpty()) {
        while (wanted > 0 && asked.size() < AHEAD) {
          int part = (int) Math.min(GuestFiles.CHUNK, wanted);
          if (!call.write(OpenFileRequest.newBuilder().setRead(part).build())) {
            throw closed();
          }
          asked.add(part);
          wanted -= part;
        }
        OpenFileResponse answer = call.read().orElseThrow(OpenFile::closed);
        int part = asked.remove();
        read = read.concat(answer.getData());
        if (answer.hasFailure() && failure.isEmpty()) {
          failure = Optional.of(answer.getFailure());
        }
        // What is already asked for is answered still; files of /proc give less than there is.
        boolean over = failure.isPresent() || answer.getData().isEmpty();
        wanted = over ? 0 : wanted + part - answer.getData().size();
      }
    } finally {
      if (!asked.isEmpty()) {
        // Another operation would take their answers for its own.
        close();
      }
      turn.unlock();
    }
    if (failure.isPresent()) {
      throw SdkError.of(failure.get().getReason(), failure.get().getMessage());
    }
    return read;
  }

  /** Ends what waits in it too. */
  @Override
  public void close() {
    call.cancel("closed");
  }
}
