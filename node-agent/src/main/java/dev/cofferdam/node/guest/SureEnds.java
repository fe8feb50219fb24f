package dev.cofferdam.node.guest;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Deadline;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Ends a call some time after its deadline whatever became of it. gRPC's own deadline cancels the
 * stream and waits for the stream to say so; a guest whose answer is no message, followed at once
 * by the end of the stream, was seen to keep it from that, and its caller from ever going on.
 */
final class SureEnds implements ClientInterceptor {
  private final ScheduledExecutorService timer;
  private final Duration grace;

  SureEnds(ScheduledExecutorService timer, Duration grace) {
    this.timer = timer;
    this.grace = grace;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(
      MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    Deadline deadline = options.getDeadline();
    // That of whoever waits: only what runs there wakes him.
    Executor waiter = options.getExecutor();
    ClientCall<Q, A> call = next.newCall(method, options);
    if (deadline == null || waiter == null) {
      return call;
    }
    return new SimpleForwardingClientCall<>(call) {
      @Override
      public void start(Listener<A> listener, Metadata headers) {
        AtomicBoolean ended = new AtomicBoolean();
        var late =
            timer.schedule(
                () ->
                    waiter.execute(() -> {
                      if (ended.compareAndSet(false, true)) {
                        listener.onClose(
                            Status.DEADLINE_EXCEEDED.withDescription("the call did not end"),
                            new Metadata());
                      }
                    }),
                deadline.timeRemaining(TimeUnit.NANOSECONDS) + grace.toNanos(),
                TimeUnit.NANOSECONDS);
        super.start(
            new SimpleForwardingClientCallListener<A>(listener) {
              @Override
              public void onMessage(A message) {
                if (!ended.get()) {
                  super.onMessage(message);
                }
              }

              @Override
              public void onClose(Status status, Metadata trailers) {
                late.cancel(false);
                if (ended.compareAndSet(false, true)) {
                  super.onClose(status, trailers);
                }
              }
            },
            headers);
      }
    };
  }
}
