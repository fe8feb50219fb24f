package dev.cofferdam.kit.client;

import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.grpc.Attributes;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors.CheckedForwardingClientCall;
import io.grpc.ClientStreamTracer;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

/**
 * Holds the opening of each call to a circuit. A call is open once it is on a connection, and what
 * becomes of it then says nothing about the other party: relayed calls end as whoever is behind it
 * likes, and nobody's sandbox may close the way to others'. A caller who leaves before says nothing
 * either.
 */
final class Openings implements ClientInterceptor {
  private final CircuitBreaker circuit;
  private final Supplier<StatusRuntimeException> whenOpen;

  Openings(CircuitBreaker circuit, Supplier<StatusRuntimeException> whenOpen) {
    this.circuit = circuit;
    this.whenOpen = whenOpen;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(
      MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    Opening opening = new Opening();
    return new CheckedForwardingClientCall<>(
        next.newCall(method, options.withStreamTracerFactory(opening))) {
      @Override
      protected void checkedStart(Listener<A> listener, Metadata headers) {
        if (!circuit.tryAcquirePermission()) {
          throw whenOpen.get();
        }
        opening.began = circuit.getCurrentTimestamp();
        delegate()
            .start(
                new SimpleForwardingClientCallListener<>(listener) {
                  @Override
                  public void onClose(Status status, Metadata trailers) {
                    opening.ended(status);
                    super.onClose(status, trailers);
                  }
                },
                headers);
      }
    };
  }

  /** Of one call. The circuit is told once. */
  private final class Opening extends ClientStreamTracer.Factory {
    private final AtomicBoolean told = new AtomicBoolean();
    private volatile long began;

    @Override
    public ClientStreamTracer newClientStreamTracer(
        ClientStreamTracer.StreamInfo info, Metadata headers) {
      return new ClientStreamTracer() {
        @Override
        public void streamCreated(Attributes transport, Metadata sent) {
          if (told.compareAndSet(false, true)) {
            circuit.onSuccess(circuit.getCurrentTimestamp() - began, circuit.getTimestampUnit());
          }
        }
      };
    }

    void ended(Status status) {
      if (!told.compareAndSet(false, true)) {
        return;
      }
      if (status.getCode() == Status.Code.UNAVAILABLE) {
        circuit.onError(
            circuit.getCurrentTimestamp() - began,
            circuit.getTimestampUnit(),
            status.asRuntimeException());
      } else {
        circuit.releasePermission();
      }
    }
  }
}
