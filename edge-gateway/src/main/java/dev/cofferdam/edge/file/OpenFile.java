package dev.cofferdam.edge.file;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.SdkError;
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

  /** Up to so many bytes; empty at the end of the file. */
  ByteString read(long length) throws SdkError, StatusException, InterruptedException {
    ByteString read = ByteString.EMPTY;
    turn.lockInterruptibly();
    try {
      while (read.size() < length) {
        int wanted = (int) Math.min(GuestFiles.CHUNK, length - read.size());
        ByteString part = ask(OpenFileRequest.newBuilder().setRead(wanted).build()).getData();
        if (part.isEmpty()) {
          break;
        }
        read = read.concat(part);
      }
      return read;
    } finally {
      turn.unlock();
    }
  }

  /** Ends what waits in it too. */
  @Override
  public void close() {
    call.cancel("closed");
  }
}
