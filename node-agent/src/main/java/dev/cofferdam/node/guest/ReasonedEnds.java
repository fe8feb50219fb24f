package dev.cofferdam.node.guest;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Gives a call that ends with its connection a reason: gRPC says no more than UNAVAILABLE, and a
 * relayed call's end is all that its client sees.
 */
final class ReasonedEnds implements ClientInterceptor {
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private final Supplier<Optional<String>> ended;

  /**
   * @param ended why the guest runs no more, once it does not: there is nothing to try again for
   */
  ReasonedEnds(Supplier<Optional<String>> ended) {
    this.ended = ended;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(
      MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      private volatile boolean left;

      @Override
      public void cancel(@Nullable String message, @Nullable Throwable cause) {
        left = true;
        super.cancel(message, cause);
      }

      @Override
      public void start(Listener<A> listener, Metadata headers) {
        super.start(
            new SimpleForwardingClientCallListener<A>(listener) {
              @Override
              public void onClose(Status status, Metadata trailers) {
                if (broken(status, left) && !trailers.containsKey(DETAILS)) {
                  StatusRuntimeException reasoned = Refusals.toStatus(reason(status));
                  super.onClose(reasoned.getStatus(), Status.trailersFromThrowable(reasoned));
                } else {
                  super.onClose(status, trailers);
                }
              }
            },
            headers);
      }
    };
  }

  /** A guest that resets a stream says CANCELLED, but only its caller can have cancelled it. */
  private static boolean broken(Status status, boolean left) {
    return status.getCode() == Status.Code.UNAVAILABLE
        || (status.getCode() == Status.Code.CANCELLED && !left);
  }

  private Refusal reason(Status status) {
    return ended
        .get()
        .map(why ->
            new Refusal(
                ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, "the sandbox runs no more: " + why))
        .orElseGet(() ->
            new Refusal(
                ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
                "the sandbox's agent does not answer: " + status.getDescription()));
  }
}
