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
import java.util.function.BooleanSupplier;

/**
 * Gives a call that ends with its connection a reason: gRPC says no more than UNAVAILABLE, and a
 * relayed call's end is all that its client sees.
 */
final class ReasonedEnds implements ClientInterceptor {
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private final BooleanSupplier ended;

  /**
   * @param ended whether the guest runs no more, so that there is nothing to try again for
   */
  ReasonedEnds(BooleanSupplier ended) {
    this.ended = ended;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(
      MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void start(Listener<A> listener, Metadata headers) {
        super.start(
            new SimpleForwardingClientCallListener<A>(listener) {
              @Override
              public void onClose(Status status, Metadata trailers) {
                if (status.getCode() == Status.Code.UNAVAILABLE && !trailers.containsKey(DETAILS)) {
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

  private Refusal reason(Status status) {
    return ended.getAsBoolean()
        ? new Refusal(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, "the sandbox has ended")
        : new Refusal(
            ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
            "the sandbox's agent does not answer: " + status.getDescription());
  }
}
