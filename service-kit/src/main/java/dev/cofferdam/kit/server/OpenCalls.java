package dev.cofferdam.kit.server;

import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The calls that are under way, so that a listener that stops can end them with a status of its
 * choice. gRPC by itself resets their streams, which their callers see as CANCELLED, as if they had
 * left. A handler learns of the end, by its context and its observer, before the caller does: what
 * it does after is not for a caller who was told otherwise. Safe for use by several threads.
 */
final class OpenCalls implements ServerInterceptor {
  private final Set<Open<?, ?>> open = ConcurrentHashMap.newKeySet();

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    CancellableContext context = Context.current().withCancellation();
    Open<Q, A> mine = new Open<>(call, context);
    open.add(mine);
    ServerCall.Listener<Q> handler = Contexts.interceptCall(context, mine, headers, next);
    return new SimpleForwardingServerCallListener<>(handler) {
      @Override
      public void onComplete() {
        open.remove(mine);
        if (mine.ended) {
          // The handler did not complete it: to it, its caller has left.
          super.onCancel();
        } else {
          super.onComplete();
        }
      }

      @Override
      public void onCancel() {
        open.remove(mine);
        super.onCancel();
      }
    };
  }

  void end(Status status) {
    open.forEach(call -> call.end(status));
  }

  /** Ignores what its handler still sends after the end. */
  private static final class Open<Q, A> extends SimpleForwardingServerCall<Q, A> {
    private final CancellableContext context;
    private boolean closed;
    private volatile boolean ended;

    Open(ServerCall<Q, A> call, CancellableContext context) {
      super(call);
      this.context = context;
    }

    @Override
    public boolean isCancelled() {
      return ended || super.isCancelled();
    }

    @Override
    public synchronized void sendHeaders(Metadata headers) {
      if (!ended) {
        super.sendHeaders(headers);
      }
    }

    @Override
    public synchronized void sendMessage(A message) {
      if (!ended) {
        super.sendMessage(message);
      }
    }

    @Override
    public synchronized void close(Status status, Metadata trailers) {
      if (!ended) {
        closed = true;
        super.close(status, trailers);
      }
    }

    synchronized void end(Status status) {
      if (!closed) {
        ended = true;
        closed = true;
        context.cancel(status.asRuntimeException());
        super.close(status, new Metadata());
      }
    }
  }
}
