package dev.cofferdam.kit.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;
import java.util.Queue;

/**
 * A call in which both sides stream, for threads that may wait. At most one thread writes and one
 * reads at a time.
 *
 * <p>grpc-java's own ({@code io.grpc.stub.BlockingClientCall}, 1.85) lets a write that meets the
 * end of its call wait for ever: what it waits for is that the call takes messages, which one that
 * has ended never does again.
 *
 * @param <Q> messages to the server
 * @param <R> messages of the server
 */
public final class TwoWayCall<Q, R> {
  /** So that one is there when the one before is done with. */
  private static final int AHEAD = 2;

  private final ClientCall<Q, R> call;
  private final Queue<R> received = new ArrayDeque<>();
  private Optional<StatusException> end = Optional.empty();

  /** From this side. The end that it makes is heard of later. */
  private boolean cancelled;

  private TwoWayCall(ClientCall<Q, R> call) {
    this.call = call;
  }

  /** Ends with the {@link io.grpc.Context} in which it is started. */
  public static <Q, R> TwoWayCall<Q, R> start(
      Channel channel, MethodDescriptor<Q, R> method, CallOptions options) {
    TwoWayCall<Q, R> started = new TwoWayCall<>(channel.newCall(method, options));
    started.call.start(started.new Heard(), new Metadata());
    started.call.request(AHEAD);
    return started;
  }

  /**
   * Waits until the server takes more.
   *
   * @return false when the call has ended well, so that the message was dropped
   * @throws StatusException when it has ended otherwise
   */
  public boolean write(Q message) throws InterruptedException, StatusException {
    return writeTogether(List.of(message));
  }

  /**
   * As {@link #write}; nothing is waited for between them, as one by one is where the server has
   * ended the call, and what it has sent is not read yet.
   */
  public boolean writeTogether(List<Q> messages) throws InterruptedException, StatusException {
    synchronized (this) {
      while (end.isEmpty() && !cancelled && !call.isReady()) {
        wait();
      }
      if (end.isPresent()) {
        throwUnlessWell(end.get());
        return false;
      }
      if (cancelled) {
        throw new StatusException(Status.CANCELLED);
      }
      // Within the lock: a call that was cancelled takes no message.
      messages.forEach(call::sendMessage);
      return true;
    }
  }

  /** Nothing more will be written. */
  public synchronized void halfClose() {
    if (!cancelled) {
      call.halfClose();
    }
  }

  /**
   * Waits for the next message.
   *
   * @return empty when the call has ended well
   * @throws StatusException when it has ended otherwise
   */
  public Optional<R> read() throws InterruptedException, StatusException {
    R message;
    synchronized (this) {
      while (received.isEmpty() && end.isEmpty()) {
        wait();
      }
      if (received.isEmpty()) {
        throwUnlessWell(end.orElseThrow());
        return Optional.empty();
      }
      message = received.remove();
    }
    call.request(1);
    return Optional.of(message);
  }

  /** Ends it from this side; what waits in it is woken. Nothing once it has ended. */
  public void cancel(String why) {
    synchronized (this) {
      cancelled = true;
      notifyAll();
    }
    call.cancel(why, null);
  }

  private static void throwUnlessWell(StatusException end) throws StatusException {
    if (!end.getStatus().isOk()) {
      // Each thread that meets the end has a trace of its own.
      throw new StatusException(end.getStatus(), end.getTrailers());
    }
  }

  private final class Heard extends ClientCall.Listener<R> {
    @Override
    public void onMessage(R message) {
      synchronized (TwoWayCall.this) {
        received.add(message);
        TwoWayCall.this.notifyAll();
      }
    }

    @Override
    public void onReady() {
      synchronized (TwoWayCall.this) {
        TwoWayCall.this.notifyAll();
      }
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      synchronized (TwoWayCall.this) {
        end = Optional.of(new StatusException(status, trailers));
        TwoWayCall.this.notifyAll();
      }
    }
  }
}
