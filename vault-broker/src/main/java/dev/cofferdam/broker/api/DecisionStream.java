package dev.cofferdam.broker.api;

import dev.cofferdam.broker.audit.Reports;
import dev.cofferdam.broker.audit.Reports.Decision;
import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import dev.cofferdam.internal.v1.ReportDecisionsResponse;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * One gateway's spool as it comes in: whatever has arrived while the last transaction ran goes into
 * the next, and its last number is acknowledged after the commit. What came in one message is never
 * split, or the writer, woken by the first of it, would make two transactions of most. A full queue
 * stops the reading, and with it the gateway.
 */
final class DecisionStream implements StreamObserver<ReportDecisionsRequest> {
  /** Messages, each of at most 1 MiB. */
  private static final int QUEUE = 8;

  /** So many decisions are enough for a transaction. */
  private static final int BATCH = 256;

  /** Nothing follows. */
  private static final List<Decision> END = List.of();

  private final String gateway;
  private final Reports reports;
  private final ServerCallStreamObserver<ReportDecisionsResponse> out;
  private final BlockingQueue<List<Decision>> queue = new LinkedBlockingQueue<>(QUEUE);
  private final Future<?> writer;
  private Optional<String> spool = Optional.empty();
  private volatile Optional<Refusal> refusal = Optional.empty();
  private volatile boolean stopped;

  DecisionStream(
      String gateway,
      Reports reports,
      ExecutorService executor,
      ServerCallStreamObserver<ReportDecisionsResponse> out) {
    this.gateway = gateway;
    this.reports = reports;
    this.out = out;
    this.writer = executor.submit(this::write);
  }

  @Override
  public void onNext(ReportDecisionsRequest message) {
    try {
      List<Decision> decisions = new ArrayList<>(1 + message.getFollowingCount());
      decisions.add(decision(message));
      message.getFollowingList().forEach(one -> decisions.add(decision(one)));
      put(decisions);
    } catch (Refusal e) {
      // Told by the writer, for the call is its to close.
      refusal = Optional.of(e);
      stop();
    }
  }

  private Decision decision(ReportDecisionsRequest message) {
    Decision decision = new Decision(message.getSpool(), message.getNumber(), message.getEvent());
    // An acknowledgement names no spool, so a stream has one.
    if (!spool.orElse(decision.spool()).equals(decision.spool())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "a stream reports one spool, expected " + spool.orElse(""));
    }
    spool = Optional.of(decision.spool());
    return decision;
  }

  @Override
  public void onError(Throwable cause) {
    stop();
  }

  @Override
  public void onCompleted() {
    put(END);
  }

  /** Ends the writing after the transaction that is under way; an interrupt would break that. */
  void stop() {
    stopped = true;
    var _ = queue.offer(END);
  }

  private void put(List<Decision> decisions) {
    try {
      while (!queue.offer(decisions, 1, TimeUnit.SECONDS)) {
        if (writer.isDone()) {
          return;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      stop();
    }
  }

  private void write() {
    try {
      boolean more = true;
      while (more && !stopped) {
        List<Decision> decisions = new ArrayList<>(queue.take());
        more = !decisions.isEmpty();
        while (more && decisions.size() < BATCH) {
          List<Decision> next = queue.poll();
          if (next == null) {
            break;
          }
          more = !next.isEmpty();
          decisions.addAll(next);
        }
        if (!decisions.isEmpty()) {
          reports.decisions(gateway, decisions);
          out.onNext(
              ReportDecisionsResponse.newBuilder().setNumber(decisions.getLast().number()).build());
        }
      }
      if (refusal.isPresent()) {
        end(refusal.get());
      } else if (!out.isCancelled()) {
        out.onCompleted();
      }
    } catch (InterruptedException e) {
      end(new Refusal(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, "the broker stops"));
    } catch (RuntimeException e) {
      end(e);
    }
  }

  private void end(RuntimeException cause) {
    if (!out.isCancelled()) {
      out.onError(Refusals.toStatus(cause));
    }
  }
}
