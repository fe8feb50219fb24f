package dev.cofferdam.gateway.broker;

import dev.cofferdam.gateway.slot.PolicyLease;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.SyncAttachmentsRequest;
import dev.cofferdam.internal.v1.SyncAttachmentsResponse;
import dev.cofferdam.internal.v1.SyncStart;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the slots as the broker says, by a stream that is opened again whenever it ends. Each
 * change is acknowledged once it is in force.
 */
public final class AttachmentSync implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(AttachmentSync.class);
  private static final long RETRY_MILLIS = 500;

  /** The broker speaks at least every 5 s: three missed words and the stream is taken for dead. */
  private static final long SILENCE_SECONDS = 15;

  private final BrokerClient broker;
  private final SlotTable slots;
  private final PolicyLease lease;
  private final Consumer<dev.cofferdam.gateway.slot.Attachment> attached;
  private final SyncStart start;
  private final CountDownLatch first = new CountDownLatch(1);
  private final Thread thread;

  /**
   * @param attached told of each attachment once it is in force, so that what takes time can begin;
   *     does not block
   * @param process new at every start
   */
  public AttachmentSync(
      BrokerClient broker,
      SlotTable slots,
      PolicyLease lease,
      Consumer<dev.cofferdam.gateway.slot.Attachment> attached,
      String process) {
    this(broker, slots, lease, attached, SyncStart.newBuilder().setProcess(process).build());
  }

  /**
   * @param start what each stream begins with
   */
  public AttachmentSync(
      BrokerClient broker,
      SlotTable slots,
      PolicyLease lease,
      Consumer<dev.cofferdam.gateway.slot.Attachment> attached,
      SyncStart start) {
    this.attached = attached;
    this.broker = broker;
    this.slots = slots;
    this.lease = lease;
    this.start = start;
    this.thread = Thread.ofVirtual().name("attachments").start(this::run);
  }

  /** Waits until everything attached here is known. */
  public void awaitFirst() throws InterruptedException {
    first.await();
  }

  private void run() {
    try {
      while (!Thread.currentThread().isInterrupted()) {
        new Session().run();
        Thread.sleep(RETRY_MILLIS / 2 + ThreadLocalRandom.current().nextLong(RETRY_MILLIS));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** One stream, from its start to its end. */
  private final class Session
      implements ClientResponseObserver<SyncAttachmentsRequest, SyncAttachmentsResponse> {
    /** By the first word or the end. */
    private final CountDownLatch opened = new CountDownLatch(1);

    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean spoken;
    private final AtomicReference<@Nullable Throwable> why = new AtomicReference<>();
    private long inForce;
    private volatile long heard = System.nanoTime();
    private volatile @Nullable ClientCallStreamObserver<SyncAttachmentsRequest> toBroker;

    void run() throws InterruptedException {
      try {
        broker.opening(this::open, opened, () -> Optional.ofNullable(heardNothing()));
        while (!ended.await(1, TimeUnit.SECONDS)) {
          if (System.nanoTime() - heard > TimeUnit.SECONDS.toNanos(SILENCE_SECONDS)) {
            break;
          }
        }
      } catch (StatusRuntimeException e) {
        why.compareAndSet(null, e);
      } finally {
        ClientCallStreamObserver<SyncAttachmentsRequest> out = toBroker;
        if (out != null) {
          out.onError(Status.CANCELLED.asRuntimeException());
        }
      }
      log.atWarn()
          .setMessage("attachments_stream_ended")
          .addKeyValue("why", String.valueOf(why.get()))
          .log();
    }

    private void open() {
      slots.syncStarts();
      AttachmentServiceGrpc.newStub(broker.channel())
          .syncAttachments(this)
          .onNext(SyncAttachmentsRequest.newBuilder().setStart(start).build());
    }

    /** Why the stream ended before the first word. */
    private @Nullable Throwable heardNothing() {
      return spoken ? null : why.get();
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<SyncAttachmentsRequest> requestStream) {
      toBroker = requestStream;
    }

    @Override
    public void onNext(SyncAttachmentsResponse response) {
      heard = System.nanoTime();
      spoken = true;
      opened.countDown();
      lease.renew();
      switch (response.getChangeCase()) {
        case ATTACHED -> put(response.getAttached());
        case UPDATED -> put(response.getUpdated());
        case DETACHED -> slots.detach(response.getDetached());
        case SYNCHRONIZED -> {
          slots.syncEnds();
          first.countDown();
          log.atInfo().setMessage("synchronised").addKeyValue("slots", slots.size()).log();
        }
        case LEASE ->
            lease.renew(
                Duration.ofSeconds(
                    response.getLease().getPolicyLease().getSeconds(),
                    response.getLease().getPolicyLease().getNanos()));
        case CHANGE_NOT_SET -> {
          // A change of a newer contract: nothing to do, but it was heard.
        }
      }
      inForce = Math.max(inForce, response.getSequence());
      ClientCallStreamObserver<SyncAttachmentsRequest> out = toBroker;
      if (out != null) {
        out.onNext(SyncAttachmentsRequest.newBuilder().setAcknowledge(inForce).build());
      }
    }

    private void put(Attachment attachment) {
      try {
        dev.cofferdam.gateway.slot.Attachment view = Attachments.read(attachment);
        if (slots.put(view)) {
          attached.accept(view);
        }
      } catch (IllegalArgumentException e) {
        // What cannot be understood must not be in force, nor what it was to replace.
        slots.detach(attachment.getSandbox());
        log.atError()
            .setMessage("attachment_refused")
            .addKeyValue("sandbox", attachment.getSandbox())
            .addKeyValue("why", e.getMessage())
            .log();
      }
    }

    @Override
    public void onError(Throwable t) {
      why.set(t);
      opened.countDown();
      ended.countDown();
    }

    @Override
    public void onCompleted() {
      opened.countDown();
      ended.countDown();
    }
  }
}
