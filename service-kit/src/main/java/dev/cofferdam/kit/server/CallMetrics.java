package dev.cofferdam.kit.server;

import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;

/**
 * {@code cofferdam_rpc_server_seconds{listener,method,code}}: how long each call took and how it
 * ended.
 */
final class CallMetrics implements ServerInterceptor {
  private final MeterRegistry meters;
  private final String listener;

  CallMetrics(MeterRegistry meters, String listener) {
    this.meters = meters;
    this.listener = listener;
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    Timer.Sample sample = Timer.start(meters);
    ServerCall<Q, A> timed =
        new SimpleForwardingServerCall<>(call) {
          @Override
          public void close(Status status, Metadata trailers) {
            sample.stop(
                Timer.builder("cofferdam.rpc.server")
                    .description("Duration of served calls")
                    .tag("listener", listener)
                    .tag("method", call.getMethodDescriptor().getFullMethodName())
                    .tag("code", status.getCode().name())
                    .register(meters));
            super.close(status, trailers);
          }
        };
    return next.startCall(timed, headers);
  }
}
