package dev.cofferdam.broker.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.Status;
import java.util.Optional;

/**
 * A unary method whose request and answer may own values: both are closed on every way out, a call
 * that its caller abandoned included.
 */
final class ClosingUnary<Q, A> implements ServerCallHandler<Q, A> {
  private static final Metadata.Key<String> ENCODING =
      Metadata.Key.of("grpc-encoding", Metadata.ASCII_STRING_MARSHALLER);

  private final Method<Q, A> method;

  /** What is done with a request. */
  @FunctionalInterface
  interface Method<Q, A> {
    A call(Q request) throws InterruptedException;
  }

  ClosingUnary(Method<Q, A> method) {
    this.method = method;
  }

  @Override
  public ServerCall.Listener<Q> startCall(ServerCall<Q, A> call, Metadata headers) {
    String encoding = headers.get(ENCODING);
    if (encoding != null && !encoding.equals("identity")) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "this method takes no compressed message: unpacking it would copy the value");
    }
    // One more than there may be, to notice it.
    call.request(2);
    return new Listener(call);
  }

  private final class Listener extends ServerCall.Listener<Q> {
    private final ServerCall<Q, A> call;
    private Optional<Q> request = Optional.empty();

    Listener(ServerCall<Q, A> call) {
      this.call = call;
    }

    @Override
    public void onMessage(Q message) {
      if (request.isPresent()) {
        close(message);
        onCancel();
        call.close(
            Status.INTERNAL.withDescription("more than one message for a unary method"),
            new Metadata());
        return;
      }
      request = Optional.of(message);
    }

    @Override
    public void onHalfClose() {
      Q asked =
          request.orElseThrow(() ->
              Status.INTERNAL
                  .withDescription("no message for a unary method")
                  .asRuntimeException());
      try {
        answer(method.call(asked));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw Status.CANCELLED.withDescription("the broker stops").asRuntimeException();
      } finally {
        onCancel();
      }
    }

    @Override
    public void onCancel() {
      request.ifPresent(ClosingUnary::close);
      request = Optional.empty();
    }

    private void answer(A answer) {
      try {
        call.sendHeaders(new Metadata());
        call.sendMessage(answer);
        call.close(Status.OK, new Metadata());
      } finally {
        close(answer);
      }
    }
  }

  private static void close(Object message) {
    switch (message) {
      case ValueRequest<?> request -> request.close();
      case Values values -> values.close();
      default -> {
        // Owns nothing.
      }
    }
  }
}
