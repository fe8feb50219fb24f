package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import com.google.rpc.Code;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.StatFileRequest;
import dev.cofferdam.v1.WriteFileRequest;
import dev.cofferdam.v1.WriteFileResponse;
import dev.cofferdam.v1.WriteFileTarget;
import io.grpc.stub.StreamObserver;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Files of sandboxes, in memory, by {@code <sandbox>:<path>}. */
final class FakeFiles extends FileServiceGrpc.FileServiceImplBase {
  private static final int CHUNK = 1000;

  final Map<String, ByteString> contents = new ConcurrentHashMap<>();
  final Map<String, Integer> modes = new ConcurrentHashMap<>();

  @Override
  public void statFile(StatFileRequest request, StreamObserver<FileInfo> answer) {
    String name = request.getSandbox() + ":" + request.getPath();
    ByteString content = contents.get(name);
    if (content == null) {
      answer.onError(FakeMesh.refusal(Code.NOT_FOUND, "FILE_NOT_FOUND", "no " + request.getPath()));
      return;
    }
    answer.onNext(
        FileInfo.newBuilder()
            .setType(FileType.FILE_TYPE_REGULAR)
            .setSize(content.size())
            .setMode(modes.getOrDefault(name, 0))
            .build());
    answer.onCompleted();
  }

  @Override
  public void readFile(ReadFileRequest request, StreamObserver<ReadFileResponse> answer) {
    ByteString content = contents.get(request.getSandbox() + ":" + request.getPath());
    if (content == null) {
      answer.onError(FakeMesh.refusal(Code.NOT_FOUND, "FILE_NOT_FOUND", "no " + request.getPath()));
      return;
    }
    for (int at = 0; at < content.size(); at += CHUNK) {
      answer.onNext(
          ReadFileResponse.newBuilder()
              .setOffset(at)
              .setData(content.substring(at, Math.min(content.size(), at + CHUNK)))
              .build());
    }
    answer.onCompleted();
  }

  @Override
  public StreamObserver<WriteFileRequest> writeFile(StreamObserver<WriteFileResponse> answer) {
    return new StreamObserver<>() {
      private String sandbox = "";
      private WriteFileTarget target = WriteFileTarget.getDefaultInstance();
      private ByteString content = ByteString.EMPTY;

      @Override
      public void onNext(WriteFileRequest request) {
        if (request.hasTarget()) {
          sandbox = request.getSandbox();
          target = request.getTarget();
        } else {
          content = content.concat(request.getData());
        }
      }

      @Override
      public void onError(Throwable failure) {}

      @Override
      public void onCompleted() {
        contents.put(sandbox + ":" + target.getPath(), content);
        modes.put(sandbox + ":" + target.getPath(), target.getMode());
        answer.onNext(WriteFileResponse.newBuilder().setSize(content.size()).build());
        answer.onCompleted();
      }
    };
  }
}
