package dev.cofferdam.edge;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.CopyFileRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileFailure;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.MakeDirectoryRequest;
import dev.cofferdam.v1.MakeLinkRequest;
import dev.cofferdam.v1.MakeTemporaryRequest;
import dev.cofferdam.v1.OpenFileRequest;
import dev.cofferdam.v1.OpenFileResponse;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.RemoveFileRequest;
import dev.cofferdam.v1.RemoveFileResponse;
import dev.cofferdam.v1.ResolvePathRequest;
import dev.cofferdam.v1.ResolvePathResponse;
import dev.cofferdam.v1.SeekOrigin;
import dev.cofferdam.v1.SetFileAttributesRequest;
import dev.cofferdam.v1.StatFileRequest;
import dev.cofferdam.v1.WalkDirectoryRequest;
import dev.cofferdam.v1.WalkDirectoryResponse;
import dev.cofferdam.v1.WalkedFile;
import dev.cofferdam.v1.WriteFileRequest;
import dev.cofferdam.v1.WriteFileResponse;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Files as the edge sees them. Each that is read holds its own path, one that is opened what was
 * written into it, {@code /missing} and what begins with {@code /new} are not there, {@code /old}
 * is in a sandbox whose agent knows no more than it did, {@code broken} cannot be read to its end,
 * {@code slow} comes to none, and a lock is never given.
 */
final class FakeFiles extends FileServiceGrpc.FileServiceImplBase {
  /** Of a file, in one message. */
  static final int PART = 60_000;

  /** Of what is read of a file that comes slowly: the rest never does. */
  private static final int SLOW = 1_000_000;

  /** What was asked for, but for operations on open files. */
  final List<Message> asked = new CopyOnWriteArrayList<>();

  volatile boolean withoutDeno;
  volatile boolean withoutVscode;
  final AtomicInteger open = new AtomicInteger();

  /** Reads of open files. */
  final AtomicInteger reads = new AtomicInteger();

  final AtomicInteger locking = new AtomicInteger();

  /** Whether it was told that there is no such file. */
  private static boolean refused(String path, StreamObserver<?> answer) {
    if (path.equals("/missing")) {
      answer.onError(
          FakeMesh.refusal(ErrorReason.ERROR_REASON_FILE_NOT_FOUND, "/missing is not there"));
    } else if (path.equals("/old")) {
      answer.onError(io.grpc.Status.UNIMPLEMENTED.asRuntimeException());
    }
    return path.equals("/missing") || path.equals("/old");
  }

  private <A> void answer(Message request, String path, A told, StreamObserver<A> answer) {
    asked.add(request);
    if (!refused(path, answer)) {
      answer.onNext(told);
      answer.onCompleted();
    }
  }

  private static FileType type(String path, boolean link) {
    if (link) {
      return FileType.FILE_TYPE_SYMLINK;
    }
    return path.equals("/home/app") ? FileType.FILE_TYPE_DIRECTORY : FileType.FILE_TYPE_REGULAR;
  }

  private static FileInfo info(String path, boolean link) {
    return FileInfo.newBuilder()
        .setPath(path)
        .setType(type(path, link))
        .setLinkTarget(link ? "../else" : "")
        .setRawMode(link ? 0120777 : 0100640)
        .setMode(0640)
        .setSize(12)
        .setUid(-2)
        .setLinks(1)
        .setModifyTime(Timestamp.newBuilder().setSeconds(1_000_000_000).setNanos(123_456_789))
        .build();
  }

  @Override
  public void readFile(ReadFileRequest request, StreamObserver<ReadFileResponse> answer) {
    answer(
        request,
        request.getPath(),
        ReadFileResponse.newBuilder().setData(ByteString.copyFromUtf8(request.getPath())).build(),
        answer);
  }

  @Override
  public void statFile(StatFileRequest request, StreamObserver<FileInfo> answer) {
    boolean absent =
        (withoutDeno && request.getPath().endsWith("/deno"))
            || (withoutVscode && request.getPath().endsWith("/code-server"));
    if (request.getPath().startsWith("/new") || absent) {
      answer.onError(FakeMesh.refusal(ErrorReason.ERROR_REASON_FILE_NOT_FOUND, "not there"));
      return;
    }
    boolean link = request.getPath().endsWith("link") && !request.getFollow();
    answer(request, request.getPath(), info(request.getPath(), link), answer);
  }

  @Override
  public void setFileAttributes(SetFileAttributesRequest request, StreamObserver<FileInfo> answer) {
    answer(request, request.getPath(), info(request.getPath(), false), answer);
  }

  @Override
  public void copyFile(CopyFileRequest request, StreamObserver<FileInfo> answer) {
    answer(request, request.getSource(), info(request.getDestination(), false), answer);
  }

  @Override
  public void removeFile(RemoveFileRequest request, StreamObserver<RemoveFileResponse> answer) {
    answer(request, request.getPath(), RemoveFileResponse.getDefaultInstance(), answer);
  }

  @Override
  public void makeDirectory(MakeDirectoryRequest request, StreamObserver<FileInfo> answer) {
    answer(request, request.getPath(), info(request.getPath(), false), answer);
  }

  /** Its content is thrown away. */
  @Override
  public StreamObserver<WriteFileRequest> writeFile(StreamObserver<WriteFileResponse> answer) {
    return new StreamObserver<>() {
      @Override
      public void onNext(WriteFileRequest request) {
        if (request.hasTarget()) {
          asked.add(request.getTarget());
        }
      }

      @Override
      public void onError(Throwable failure) {}

      @Override
      public void onCompleted() {
        answer.onNext(WriteFileResponse.getDefaultInstance());
        answer.onCompleted();
      }
    };
  }

  @Override
  public void makeLink(MakeLinkRequest request, StreamObserver<FileInfo> answer) {
    answer(request, request.getPath(), info(request.getPath(), true), answer);
  }

  @Override
  public void makeTemporary(MakeTemporaryRequest request, StreamObserver<FileInfo> answer) {
    String path = request.getDirectory() + "/" + request.getPrefix() + "1" + request.getSuffix();
    answer(request, path, info(path, false), answer);
  }

  @Override
  public void resolvePath(ResolvePathRequest request, StreamObserver<ResolvePathResponse> answer) {
    answer(
        request,
        request.getPath(),
        ResolvePathResponse.newBuilder().setPath("/real" + request.getPath()).build(),
        answer);
  }

  @Override
  public void walkDirectory(
      WalkDirectoryRequest request, StreamObserver<WalkDirectoryResponse> answer) {
    String root = request.getPath();
    answer(
        request,
        root,
        WalkDirectoryResponse.newBuilder()
            .addFiles(walked(root, FileType.FILE_TYPE_DIRECTORY))
            .addFiles(walked(root + "/a.txt", FileType.FILE_TYPE_REGULAR))
            .addFiles(walked(root + "/b.md", FileType.FILE_TYPE_REGULAR))
            .addFiles(walked(root + "/c.txt", FileType.FILE_TYPE_SYMLINK))
            .build(),
        answer);
  }

  private static WalkedFile walked(String path, FileType type) {
    return WalkedFile.newBuilder().setPath(path).setType(type).build();
  }

  @Override
  public StreamObserver<OpenFileRequest> openFile(StreamObserver<OpenFileResponse> answers) {
    open.incrementAndGet();
    ((ServerCallStreamObserver<OpenFileResponse>) answers)
        .setOnCancelHandler(open::decrementAndGet);
    return new Opened(answers);
  }

  private final class Opened implements StreamObserver<OpenFileRequest> {
    private final StreamObserver<OpenFileResponse> answers;
    private final StringBuilder content = new StringBuilder();
    private int position;

    /** From here on it cannot be read. */
    private int readable = Integer.MAX_VALUE;

    private boolean slow;

    Opened(StreamObserver<OpenFileResponse> answers) {
      this.answers = answers;
    }

    @Override
    public void onNext(OpenFileRequest request) {
      OpenFileResponse.Builder answer = OpenFileResponse.newBuilder();
      switch (request.getMessageCase()) {
        case TARGET -> {
          asked.add(request.getTarget());
          if (refused(request.getTarget().getPath(), answers)) {
            open.decrementAndGet();
            return;
          }
          slow = request.getTarget().getPath().endsWith("/slow");
          readable = request.getTarget().getPath().endsWith("/broken") ? PART : readable;
          answer.setFile(info(request.getTarget().getPath(), false));
        }
        case WRITE -> {
          content.append(request.getWrite().toStringUtf8());
          position = content.length();
          answer.setPosition(position);
        }
        case READ -> {
          reads.incrementAndGet();
          answer.setData(next(request.getRead()));
        }
        case READ_FULLY -> {
          reads.incrementAndGet();
          readFully(request.getReadFully());
          return;
        }
        case SEEK -> {
          if (request.getSeek().getOffset() < 0) {
            answer.setFailure(failure("invalid argument"));
          } else {
            boolean end = request.getSeek().getOrigin() == SeekOrigin.SEEK_ORIGIN_END;
            position = (end ? content.length() : 0) + (int) request.getSeek().getOffset();
            answer.setPosition(position);
          }
        }
        case LOCK -> {
          locking.incrementAndGet();
          return;
        }
        default -> {
          asked.add(request);
          answer.setFile(info("/it", false));
        }
      }
      answers.onNext(answer.build());
    }

    private ByteString next(int length) {
      int from = position;
      position = Math.min(content.length(), position + length);
      return ByteString.copyFromUtf8(content.substring(from, position));
    }

    private void readFully(int length) {
      if (slow) {
        ByteString part = ByteString.copyFrom(new byte[PART]);
        for (int sent = 0; sent < SLOW; sent += PART) {
          answers.onNext(OpenFileResponse.newBuilder().setData(part).build());
        }
        return;
      }
      int left = length;
      while (left > 0) {
        OpenFileResponse.Builder answer = OpenFileResponse.newBuilder();
        if (position >= readable) {
          answers.onNext(answer.setFailure(failure("it broke")).build());
          return;
        }
        ByteString part = next(Math.min(PART, left));
        answers.onNext(answer.setData(part).build());
        left = part.isEmpty() ? 0 : left - part.size();
      }
    }

    @Override
    public void onError(Throwable failure) {}

    @Override
    public void onCompleted() {}
  }

  private static FileFailure failure(String message) {
    return FileFailure.newBuilder()
        .setReason(ErrorReason.ERROR_REASON_PATH_INVALID)
        .setMessage(message)
        .build();
  }
}
