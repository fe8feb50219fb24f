package dev.cofferdam.gateway.broker;

import dev.cofferdam.gateway.event.Reporter;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import dev.cofferdam.internal.v1.ReportDecisionsResponse;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** {@code ReportDecisions} as the spool's way to the broker. */
public final class DecisionLine implements Reporter.Uplink {
  private final BrokerClient broker;

  public DecisionLine(BrokerClient broker) {
    this.broker = broker;
  }

  @Override
  public Reporter.Line open(LongConsumer acknowledged, Runnable ended) throws InterruptedException {
    Line line = new Line(acknowledged, ended);
    try {
      // The broker says nothing before it is told something: that the connection takes a message
      // is the first sign of life there is.
      broker.opening(
          () -> {
            var _ = AttachmentServiceGrpc.newStub(broker.channel()).reportDecisions(line);
          },
          line.opened,
          () -> Optional.ofNullable(line.why));
    } catch (RuntimeException | InterruptedException e) {
      line.close();
      throw e;
    }
    return line;
  }

  private static final class Line
      implements Reporter.Line,
          ClientResponseObserver<ReportDecisionsRequest, ReportDecisionsResponse> {
    private final LongConsumer acknowledged;
    private final Runnable ended;
    private final Semaphore ready = new Semaphore(0);

    /** By readiness or the end. */
    private final CountDownLatch opened = new CountDownLatch(1);

    private volatile @Nullable Throwable why;
    private volatile boolean over;
    private @Nullable ClientCallStreamObserver<ReportDecisionsRequest> out;

    Line(LongConsumer acknowledged, Runnable ended) {
      this.acknowledged = acknowledged;
      this.ended = ended;
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<ReportDecisionsRequest> requestStream) {
      out = requestStream;
      requestStream.setOnReadyHandler(() -> {
        opened.countDown();
        ready.release();
      });
    }

    @Override
    public void send(List<ReportDecisionsRequest> events) throws InterruptedException {
      ClientCallStreamObserver<ReportDecisionsRequest> stream = out;
      if (stream == null) {
        throw new IllegalStateException("the stream has not begun");
      }
      while (!stream.isReady() && !over) {
        // Woken by the stream; the time is only for a wake-up that came before the wait.
        ready.tryAcquire(1, TimeUnit.SECONDS);
      }
      if (over) {
        throw Status.UNAVAILABLE.withDescription("the stream ended").asRuntimeException();
      }
      stream.onNext(
          events.size() == 1
              ? events.getFirst()
              : events.getFirst().toBuilder()
                  .addAllFollowing(events.subList(1, events.size()))
                  .build());
    }

    @Override
    public void onNext(ReportDecisionsResponse response) {
      acknowledged.accept(response.getNumber());
    }

    @Override
    public void onError(Throwable t) {
      why = t;
      end();
    }

    @Override
    public void onCompleted() {
      end();
    }

    private void end() {
      over = true;
      ended.run();
      opened.countDown();
      ready.release();
    }

    @Override
    public void close() {
      ClientCallStreamObserver<ReportDecisionsRequest> stream = out;
      if (stream != null && !over) {
        stream.cancel("closed", null);
      }
    }
  }
}
