package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import com.google.rpc.Code;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.PortServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * The ports of any sandbox: 7 says back what it hears and ends when the other side has, 13 talks
 * and ends first, 19 breaks off at the first byte, and nobody listens on others.
 */
final class FakePorts extends PortServiceGrpc.PortServiceImplBase {
  /** By the first message of each. */
  final BlockingQueue<ForwardRequest> opened = new LinkedBlockingQueue<>();

  /** What port 13 heard after its own end, whole; and {@code broken} for a client that left. */
  final BlockingQueue<String> heard = new LinkedBlockingQueue<>();

  @Override
  public StreamObserver<ForwardRequest> forward(StreamObserver<ForwardResponse> answer) {
    return new StreamObserver<>() {
      private int port;
      private ByteString after = ByteString.EMPTY;

      @Override
      public void onNext(ForwardRequest request) {
        if (port == 0) {
          opened.add(request);
          port = request.getPort();
          start();
        } else if (port == 7) {
          answer.onNext(ForwardResponse.newBuilder().setData(request.getData()).build());
        } else if (port == 19) {
          answer.onError(FakeMesh.refusal(Code.ABORTED, "CONNECTION_RESET", "it broke off"));
        } else {
          after = after.concat(request.getData());
        }
      }

      private void start() {
        switch (port) {
          case 7, 19 -> answer.onNext(ForwardResponse.getDefaultInstance());
          case 13 -> {
            answer.onNext(ForwardResponse.getDefaultInstance());
            answer.onNext(
                ForwardResponse.newBuilder().setData(ByteString.copyFromUtf8("noon")).build());
            answer.onNext(ForwardResponse.newBuilder().setEnd(true).build());
          }
          default ->
              answer.onError(
                  FakeMesh.refusal(Code.FAILED_PRECONDITION, "PORT_CLOSED", "nobody is there"));
        }
      }

      @Override
      public void onError(Throwable thrown) {
        heard.add("broken");
      }

      @Override
      public void onCompleted() {
        if (port == 7) {
          answer.onNext(ForwardResponse.newBuilder().setEnd(true).build());
        }
        heard.add(after.toStringUtf8());
        answer.onCompleted();
      }
    };
  }
}
