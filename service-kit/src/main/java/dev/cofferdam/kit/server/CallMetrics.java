package dev.cofferdam.kit.server;

import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.kit.metrics.Times;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * {@code cofferdam_rpc_server_seconds{listener,method,code,reason}}: how long each call took and
 * how it ended; {@code cofferdam_rpc_server_active{listener,rpc_service}}: calls under way, of
 * which most are streams. The reason is one of the closed list, or {@code none}.
 */
final class CallMetrics implements ServerInterceptor {
  private static final String NONE = "none";

  private final MeterRegistry meters;
  private final String listener;
  private final Map<String, AtomicInteger> active = new ConcurrentHashMap<>();

  /** To look one up by its tags costs more than to record a time in it. */
  private final Map<End, Timer> timers = new ConcurrentHashMap<>();

  private record End(String method, Status.Code code, String reason) {}

  CallMetrics(MeterRegistry meters, String listener) {
    this.meters = meters;
    this.listener = listener;
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    Measured measured = new Measured(call.getMethodDescriptor());
    ServerCall<Q, A> timed =
        new SimpleForwardingServerCall<>(call) {
          @Override
          public void close(Status status, Metadata trailers) {
            measured.end(status, trailers);
            super.close(status, trailers);
          }
        };
    return new SimpleForwardingServerCallListener<>(next.startCall(timed, headers)) {
      @Override
      public void onCancel() {
        measured.end(Status.CANCELLED, new Metadata());
        super.onCancel();
      }
    };
  }

  private AtomicInteger active(String service) {
    return active.computeIfAbsent(
        service,
        _ -> {
          AtomicInteger calls = new AtomicInteger();
          Gauge.builder("cofferdam.rpc.server.active", calls, AtomicInteger::get)
              .description("Calls under way")
              .tag("listener", listener)
              .tag("rpc_service", service)
              .register(meters);
          return calls;
        });
  }

  private Timer timer(End end) {
    return timers.computeIfAbsent(
        end,
        _ ->
            Times.histogram("cofferdam.rpc.server", "Duration of served calls")
                .tag("listener", listener)
                .tag("method", end.method())
                .tag("code", end.code().name())
                .tag("reason", end.reason())
                .register(meters));
  }

  /** One call; of its ends the first counts. */
  private final class Measured {
    private final Timer.Sample sample = Timer.start(meters);
    private final AtomicBoolean ended = new AtomicBoolean();
    private final String method;
    private final AtomicInteger calls;

    Measured(MethodDescriptor<?, ?> method) {
      this.method = method.getFullMethodName();
      this.calls = active(String.valueOf(method.getServiceName()));
      calls.incrementAndGet();
    }

    void end(Status status, Metadata trailers) {
      if (!ended.compareAndSet(false, true)) {
        return;
      }
      calls.decrementAndGet();
      String reason =
          status.isOk()
              ? NONE
              : Refusals.reason(status.asRuntimeException(trailers))
                  .map(Refusals::name)
                  .orElse(NONE);
      sample.stop(timer(new End(method, status.getCode(), reason)));
    }
  }
}
