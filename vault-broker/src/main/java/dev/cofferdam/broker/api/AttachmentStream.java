package dev.cofferdam.broker.api;

import com.google.protobuf.Duration;
import dev.cofferdam.broker.grant.Attachments;
import dev.cofferdam.broker.grant.Change;
import dev.cofferdam.broker.grant.Sessions;
import dev.cofferdam.internal.v1.Lease;
import dev.cofferdam.internal.v1.SyncAttachmentsRequest;
import dev.cofferdam.internal.v1.SyncAttachmentsResponse;
import dev.cofferdam.internal.v1.SyncStart;
import dev.cofferdam.internal.v1.Synchronized;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.Optional;
import java.util.concurrent.ExecutorService;

/**
 * One gateway's stream: everything attached, the mark, then every change and a lease. A lease is
 * sent only after the database was asked for changes, so that a broker which cannot know of a
 * revocation does not prolong anything.
 */
final class AttachmentStream implements StreamObserver<SyncAttachmentsRequest> {
  /** Well below the 5 s that the contract promises. */
  private static final java.time.Duration LEASE_EVERY = java.time.Duration.ofSeconds(2);

  /** How long another broker's changes may wait to be found. */
  private static final java.time.Duration LOOK = java.time.Duration.ofMillis(500);

  private final String gateway;
  private final Attachments attachments;
  private final Lease lease;
  private final ExecutorService executor;
  private final ServerCallStreamObserver<SyncAttachmentsResponse> out;
  private Optional<String> process = Optional.empty();
  private long acknowledged;
  private volatile boolean stopped;

  AttachmentStream(
      String gateway,
      Attachments attachments,
      java.time.Duration policyLease,
      ExecutorService executor,
      ServerCallStreamObserver<SyncAttachmentsResponse> out) {
    this.gateway = gateway;
    this.attachments = attachments;
    this.lease =
        Lease.newBuilder()
            .setPolicyLease(
                Duration.newBuilder()
                    .setSeconds(policyLease.toSeconds())
                    .setNanos(policyLease.toNanosPart()))
            .build();
    this.executor = executor;
    this.out = out;
  }

  @Override
  public void onNext(SyncAttachmentsRequest message) {
    switch (message.getMessageCase()) {
      case START -> start(message.getStart());
      case ACKNOWLEDGE -> acknowledge(message.getAcknowledge());
      case MESSAGE_NOT_SET -> throw invalid("a message with neither start nor acknowledge");
    }
  }

  @Override
  public void onError(Throwable cause) {
    stop();
  }

  @Override
  public void onCompleted() {
    stop();
  }

  /**
   * Ends the sending, and the call with UNAVAILABLE where it is still open. An interrupt would
   * break a connection to the database that is in use.
   */
  void stop() {
    stopped = true;
    attachments.news().raise();
  }

  private void acknowledge(long sequence) {
    String name = process.orElseThrow(() -> invalid("an acknowledgement before the start"));
    // Leases are acknowledged too; only what is new is worth a transaction.
    if (sequence > acknowledged) {
      attachments.acknowledge(gateway, name, sequence);
      acknowledged = sequence;
    }
  }

  private void start(SyncStart start) {
    String name = start.getProcess();
    if (process.isPresent()) {
      throw invalid("a second start");
    }
    if (name.isEmpty() || name.length() > 128) {
      throw invalid("a start without a process, expected 1 to 128 characters");
    }
    Optional<Sessions.Proxy> proxy =
        start.getProxyAddress().isEmpty()
            ? Optional.empty()
            : Optional.of(new Sessions.Proxy(start.getProxyAddress(), start.getProxyTls()));
    process = Optional.of(name);
    executor.execute(() -> send(name, proxy));
  }

  private void send(String name, Optional<Sessions.Proxy> proxy) {
    try {
      Attachments.Snapshot snapshot = attachments.begin(gateway, name, proxy);
      snapshot.attached().forEach(change -> out.onNext(message(change)));
      out.onNext(
          SyncAttachmentsResponse.newBuilder()
              .setSequence(snapshot.sequence())
              .setSynchronized(Synchronized.getDefaultInstance())
              .build());
      follow(snapshot.sequence());
      end(new Refusal(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, "another stream took over"));
    } catch (InterruptedException e) {
      end(new Refusal(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, "the broker stops"));
    } catch (RuntimeException e) {
      end(e);
    }
  }

  private void follow(long from) throws InterruptedException {
    long last = from;
    long leaseDue = System.nanoTime();
    while (!stopped && !out.isCancelled()) {
      long seen = attachments.news().seen();
      // A gateway that does not read gets no more put in its queue, and no lease either.
      if (out.isReady()) {
        for (Change change : attachments.changes(gateway, last)) {
          out.onNext(message(change));
          last = change.sequence();
        }
        if (System.nanoTime() - leaseDue >= 0) {
          out.onNext(
              SyncAttachmentsResponse.newBuilder().setSequence(last).setLease(lease).build());
          leaseDue = System.nanoTime() + LEASE_EVERY.toNanos();
        }
      }
      attachments.news().await(seen, LOOK);
    }
  }

  private void end(RuntimeException cause) {
    if (!out.isCancelled()) {
      out.onError(Refusals.toStatus(cause));
    }
  }

  private static SyncAttachmentsResponse message(Change change) {
    SyncAttachmentsResponse.Builder message =
        SyncAttachmentsResponse.newBuilder().setSequence(change.sequence());
    return switch (change) {
      case Change.Attached attached -> message.setAttached(attached.attachment()).build();
      case Change.Updated updated -> message.setUpdated(updated.attachment()).build();
      case Change.Detached detached -> message.setDetached(detached.sandbox()).build();
    };
  }

  private static RuntimeException invalid(String what) {
    return Status.INVALID_ARGUMENT.withDescription(what).asRuntimeException();
  }
}
