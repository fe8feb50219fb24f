package dev.cofferdam.node.drops;

import dev.cofferdam.internal.v1.Drop;
import dev.cofferdam.internal.v1.DropReportServiceGrpc;
import dev.cofferdam.internal.v1.ReportDropsRequest;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.helper.SlotDrop;
import io.grpc.Channel;
import io.grpc.StatusRuntimeException;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries what slots refused to the broker's audit: once a second at most, like with like, so many
 * kinds and no more. A guest can make any number of packets, and must not be able to make as many
 * records.
 */
public final class DropReporter implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(DropReporter.class);

  /** Kinds held at a time; of further ones only the number is kept, on one line a sandbox. */
  static final int MAX_KINDS = 512;

  private static final long PERIOD_MILLIS = 1000;
  private static final long RECONNECT_NANOS = 500_000_000;
  private static final long DEADLINE_SECONDS = 5;

  /** As many as the broker takes in one report. */
  private static final int MAX_REPORTED = 1024;

  /** Who is in the slots. */
  @FunctionalInterface
  public interface Tenants {
    /** Whose doing it was what a slot did at that time, where that is known. */
    Optional<String> inSlot(int slot, Instant at);
  }

  private record Kind(String sandbox, String protocol, String destination, int port) {}

  private record Tally(long count, long firstTimeMs) {
    Tally plus(Tally other) {
      return new Tally(count + other.count, Math.min(firstTimeMs, other.firstTimeMs));
    }
  }

  private final NodeHelper helper;
  private final DropReportServiceGrpc.DropReportServiceBlockingStub stub;
  private final Guard guard;
  private final String node;
  private final Tenants tenants;
  private final MeterRegistry meters;
  private final Map<Kind, Tally> pending = new LinkedHashMap<>();
  private final ScheduledExecutorService reports =
      Executors.newSingleThreadScheduledExecutor(Thread.ofVirtual().name("drops-report").factory());
  private volatile boolean closed;
  private final Thread watcher;

  /**
   * @param node this node's name
   */
  public DropReporter(
      NodeHelper helper,
      Channel broker,
      Guard guard,
      String node,
      Tenants tenants,
      MeterRegistry meters) {
    this.helper = helper;
    this.meters = meters;
    this.stub = DropReportServiceGrpc.newBlockingStub(broker);
    this.guard = guard;
    this.node = node;
    this.tenants = tenants;
    this.watcher = Thread.ofVirtual().name("drops-watch").unstarted(this::watch);
  }

  public DropReporter start() {
    watcher.start();
    var _ =
        reports.scheduleWithFixedDelay(
            this::report, PERIOD_MILLIS, PERIOD_MILLIS, TimeUnit.MILLISECONDS);
    return this;
  }

  @Override
  public void close() {
    closed = true;
    watcher.interrupt();
    reports.shutdownNow();
  }

  void accept(SlotDrop drop) {
    Optional<String> sandbox =
        tenants.inSlot(drop.slot(), Instant.ofEpochMilli(drop.firstTimeMs()));
    if (sandbox.isEmpty()) {
      // Of a template that is being made, or of a sandbox that has gone, though another may be in
      // its place by now: nobody's record.
      return;
    }
    Tally tally = new Tally(Math.max(drop.count(), 1), drop.firstTimeMs());
    Counter.builder("cofferdam.node.drops")
        .description("Packets of sandboxes that were dropped: a lower bound under a flood")
        .tag("protocol", drop.protocol())
        .register(meters)
        .increment((double) tally.count());
    add(new Kind(sandbox.get(), drop.protocol(), drop.destination(), drop.port()), tally);
  }

  /** Sends what has come together. What cannot be sent is kept, within the bound. */
  void report() {
    Map<Kind, Tally> batch = next();
    while (!batch.isEmpty() && sent(batch)) {
      batch = next();
    }
  }

  private Map<Kind, Tally> next() {
    Map<Kind, Tally> batch = new LinkedHashMap<>();
    synchronized (pending) {
      var oldest = pending.entrySet().iterator();
      while (oldest.hasNext() && batch.size() < MAX_REPORTED) {
        var one = oldest.next();
        batch.put(one.getKey(), one.getValue());
        oldest.remove();
      }
    }
    return batch;
  }

  private boolean sent(Map<Kind, Tally> batch) {
    ReportDropsRequest.Builder request = ReportDropsRequest.newBuilder().setNode(node);
    batch.forEach((kind, tally) ->
        request.addDrops(
            Drop.newBuilder()
                .setSandbox(kind.sandbox())
                .setProtocol(kind.protocol())
                .setDestination(kind.destination())
                .setPort(kind.port())
                .setCount(tally.count())
                .setFirstTimeMs(tally.firstTimeMs())));
    try {
      var _ =
          guard.call(() ->
              stub.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS)
                  .reportDrops(request.build()));
      return true;
    } catch (StatusRuntimeException e) {
      log.atWarn()
          .setMessage("drops_not_reported")
          .addKeyValue("cause", e.getStatus().getCode())
          .log();
      batch.forEach(this::add);
      return false;
    }
  }

  private void add(Kind kind, Tally tally) {
    synchronized (pending) {
      Kind key =
          pending.containsKey(kind) || pending.size() < MAX_KINDS
              ? kind
              : new Kind(kind.sandbox(), kind.protocol(), "", 0);
      pending.merge(key, tally, Tally::plus);
    }
  }

  private void watch() {
    while (!closed) {
      try {
        helper.watchDrops(this::accept);
      } catch (HelperException e) {
        if (closed) {
          return;
        }
        log.atWarn().setMessage("drops_not_watched").addKeyValue("cause", e.getMessage()).log();
        LockSupport.parkNanos(RECONNECT_NANOS);
      }
    }
  }
}
