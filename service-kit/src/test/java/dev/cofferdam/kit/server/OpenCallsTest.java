package dev.cofferdam.kit.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

class OpenCallsTest {
  private final AtomicReference<Context> handlers = new AtomicReference<>();
  private final AtomicReference<ServerCall<StatFileRequest, FileInfo>> handed =
      new AtomicReference<>();

  /** What the caller was told, and whether the handler had been told before. */
  private final List<String> told = new ArrayList<>();

  private final ServerCall<StatFileRequest, FileInfo> caller =
      new ServerCall<>() {
        @Override
        public void request(int numMessages) {}

        @Override
        public void sendHeaders(Metadata headers) {
          told.add("headers");
        }

        @Override
        public void sendMessage(FileInfo message) {
          told.add("message");
        }

        @Override
        public void close(Status status, Metadata trailers) {
          boolean cancelled = handlers.get().isCancelled() && handed.get().isCancelled();
          told.add(status.getCode() + (cancelled ? ", the handler knew" : ""));
        }

        @Override
        public boolean isCancelled() {
          return false;
        }

        @Override
        public MethodDescriptor<StatFileRequest, FileInfo> getMethodDescriptor() {
          return FileServiceGrpc.getStatFileMethod();
        }
      };

  private void arrive(OpenCalls calls) {
    var _ =
        calls.interceptCall(
            caller,
            new Metadata(),
            (call, _) -> {
              handlers.set(Context.current());
              handed.set(call);
              return new ServerCall.Listener<>() {};
            });
  }

  @Test
  void theHandlerKnowsOfTheEndBeforeTheCallerDoes() {
    OpenCalls calls = new OpenCalls();
    arrive(calls);
    assertThat(handlers.get().isCancelled()).isFalse();
    assertThat(handed.get().isCancelled()).isFalse();
    calls.end(Status.UNAVAILABLE);
    assertThat(told).containsExactly("UNAVAILABLE, the handler knew");
  }

  @Test
  void whatTheHandlerSaysAfterTheEndIsNotSaid() {
    OpenCalls calls = new OpenCalls();
    arrive(calls);
    calls.end(Status.UNAVAILABLE);
    handed.get().sendHeaders(new Metadata());
    handed.get().sendMessage(FileInfo.getDefaultInstance());
    handed.get().close(Status.OK, new Metadata());
    assertThat(told).containsExactly("UNAVAILABLE, the handler knew");
  }

  @Test
  void whatTheHandlerHasClosedIsNotEndedAgain() {
    OpenCalls calls = new OpenCalls();
    arrive(calls);
    handed.get().close(Status.OK, new Metadata());
    calls.end(Status.UNAVAILABLE);
    assertThat(told).containsExactly("OK");
    assertThat(handlers.get().isCancelled()).isFalse();
  }
}
