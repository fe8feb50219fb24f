package dev.cofferdam.kit.server;

import dev.cofferdam.kit.error.Refusals;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/**
 * Turns what a handler throws into a status; without it gRPC answers UNKNOWN with nothing in it.
 */
final class RefusalInterceptor implements ServerInterceptor {
  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    CloseOnce<Q, A> once = new CloseOnce<>(call);
    ServerCall.Listener<Q> listener;
    try {
      listener = next.startCall(once, headers);
    } catch (RuntimeException e) {
      once.refuse(e);
      return new ServerCall.Listener<>() {};
    }
    return new SimpleForwardingServerCallListener<>(listener) {
      @Override
      public void onMessage(Q message) {
        guarded(() -> super.onMessage(message));
      }

      @Override
      public void onHalfClose() {
        guarded(super::onHalfClose);
      }

      @Override
      public void onReady() {
        guarded(super::onReady);
      }

      private void guarded(Runnable event) {
        try {
          event.run();
        } catch (RuntimeException e) {
          once.refuse(e);
        }
      }
    };
  }

  private static final class CloseOnce<Q, A>
      extends io.grpc.ForwardingServerCall.SimpleForwardingServerCall<Q, A> {
    private boolean closed;

    CloseOnce(ServerCall<Q, A> call) {
      super(call);
    }

    @Override
    public void close(Status status, Metadata trailers) {
      if (!closed) {
        closed = true;
        super.close(status, trailers);
      }
    }

    void refuse(RuntimeException thrown) {
      StatusRuntimeException status = Refusals.toStatus(thrown);
      Metadata trailers = status.getTrailers();
      close(status.getStatus(), trailers == null ? new Metadata() : trailers);
    }
  }
}
