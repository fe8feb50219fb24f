package dev.cofferdam.edge.session;

import com.linecorp.armeria.common.websocket.WebSocketFrame;
import com.linecorp.armeria.common.websocket.WebSocketFrameType;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;

/** Frames from the connection's loop for the session's thread, no more at a time than it takes. */
final class Frames implements Subscriber<WebSocketFrame> {
  /** So that one is there when the one before is done with. */
  private static final int AHEAD = 2;

  private final BlockingQueue<Optional<WebSocketFrame>> queue = new LinkedBlockingQueue<>();
  private final Runnable broken;
  private volatile @Nullable Subscription subscription;

  /**
   * @param broken told on the loop, so that nothing goes on waiting for more
   */
  Frames(Runnable broken) {
    this.broken = broken;
  }

  @Override
  public void onSubscribe(Subscription subscription) {
    this.subscription = subscription;
    subscription.request(AHEAD);
  }

  @Override
  public void onNext(WebSocketFrame frame) {
    queue.add(Optional.of(frame));
  }

  @Override
  public void onError(Throwable failure) {
    queue.add(Optional.empty());
    broken.run();
  }

  @Override
  public void onComplete() {
    queue.add(Optional.empty());
    broken.run();
  }

  /** Empty at the end. */
  Optional<WebSocketFrame> next() throws InterruptedException {
    return queue.take();
  }

  /**
   * What still comes is thrown away, until the client has closed too, or has had its time.
   *
   * @return whether it has closed
   */
  boolean drain(Duration patience) throws InterruptedException {
    more();
    Optional<WebSocketFrame> next = queue.poll(patience.toMillis(), TimeUnit.MILLISECONDS);
    while (next != null && next.isPresent() && next.get().type() != WebSocketFrameType.CLOSE) {
      next.get().close();
      more();
      next = queue.poll(patience.toMillis(), TimeUnit.MILLISECONDS);
    }
    return next != null;
  }

  /** Wakes who waits for more; to be followed by {@link #drain} and {@link #end}. */
  void stop() {
    queue.add(Optional.empty());
  }

  /** One was taken. */
  void more() {
    Subscription current = subscription;
    if (current != null) {
      current.request(1);
    }
  }

  void end() {
    Subscription current = subscription;
    if (current != null) {
      current.cancel();
    }
  }
}
