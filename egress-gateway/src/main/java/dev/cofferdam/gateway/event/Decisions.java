package dev.cofferdam.gateway.event;

import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/**
 * Where every decision is told. Refusals that repeat within a second are counted into one event,
 * and of one sandbox only so many are told apart within a minute: neither by hammering one closed
 * door nor by trying a door after the other can a guest fill the spool of all. Safe for use by
 * several threads.
 */
public final class Decisions {
  private static final long WINDOW_MILLIS = TimeUnit.SECONDS.toMillis(1);

  /** Kinds of refusals told apart within one window; what is beyond is counted together. */
  private static final int MAX_KINDS = 1024;

  private static final long INTERVAL_MILLIS = TimeUnit.MINUTES.toMillis(1);

  /**
   * Refusals of one sandbox that are told apart within one interval, each by at most two events.
   * With a broker that is away for a lease of ten minutes that is a twentieth of the usual spool.
   */
  static final int MAX_APART = 128;

  private record Counted(String protocol, Verdict verdict, EgressReason reason) {}

  private record Kind(
      String tenant,
      String sandbox,
      String protocol,
      String host,
      int port,
      int reason,
      List<String> data) {}

  private static final class Window {
    final AuditEvent.Builder event;
    final long began;
    long repeats;

    Window(AuditEvent.Builder event, long began) {
      this.event = event;
      this.began = began;
    }
  }

  private record Source(String tenant, String sandbox) {}

  private record Sum(String protocol, int reason) {}

  /** What one sandbox may still have told apart, and the sums of what it may not. */
  private static final class Budget {
    final long began;
    final Map<Sum, AuditEvent.Builder> sums = new LinkedHashMap<>();
    int apart;

    Budget(long began) {
      this.began = began;
    }
  }

  private final EventSpool spool;
  private final InstantSource clock;
  private final MeterRegistry meters;
  private final Map<Counted, Counter> counters = new ConcurrentHashMap<>();
  private final Map<Kind, Window> windows = new LinkedHashMap<>();
  private final Map<Source, Budget> budgets = new HashMap<>();

  public Decisions(EventSpool spool, InstantSource clock, MeterRegistry meters) {
    this.spool = spool;
    this.clock = clock;
    this.meters = meters;
    Gauge.builder("cofferdam.gateway.spool.depth", spool, EventSpool::depth)
        .description("Events that the broker has not acknowledged")
        .register(meters);
    Gauge.builder("cofferdam.gateway.spool.capacity", spool, EventSpool::capacity)
        .description("Events that the spool holds; when it is full no secret is used")
        .register(meters);
    FunctionCounter.builder("cofferdam.gateway.spool.lost", spool, EventSpool::lost)
        .description("Events that found the spool full, since the process began")
        .register(meters);
  }

  /** Whether decisions are being lost. */
  public boolean full() {
    return spool.full();
  }

  /** Records what became of one connection, request or query. */
  public void record(String tenant, AuditEvent.Builder event) {
    long now = clock.millis();
    Texts.clean(event);
    event
        .setTime(
            Timestamp.newBuilder().setSeconds(now / 1000).setNanos((int) (now % 1000) * 1_000_000))
        .setType(AuditEventType.AUDIT_EVENT_TYPE_DECISION)
        .setReportedBy("gateway")
        .setCount(1);
    counters
        .computeIfAbsent(
            new Counted(event.getProtocol(), event.getVerdict(), event.getReason()), this::counter)
        .increment();
    if (event.getVerdict() != Verdict.VERDICT_DENIED || !event.getSecret().isEmpty()) {
      spool.add(tenant, event.build());
      return;
    }
    synchronized (windows) {
      Kind kind = kind(tenant, event);
      Window window = windows.get(kind);
      if (window != null && now - window.began < WINDOW_MILLIS) {
        window.repeats++;
        return;
      }
      if (window != null) {
        windows.remove(kind);
        flush(kind, window);
      }
      if (!budgeted(tenant, event, now)) {
        return;
      }
      if (windows.size() >= MAX_KINDS) {
        Kind oldest = windows.keySet().iterator().next();
        Window flushed = windows.remove(oldest);
        if (flushed != null) {
          flush(oldest, flushed);
        }
      }
      windows.put(kind, new Window(event, now));
      spool.add(tenant, event.build());
    }
  }

  private Counter counter(Counted counted) {
    return meters.counter(
        "cofferdam.gateway.decisions",
        "protocol",
        counted.protocol(),
        "verdict",
        Reasons.text(counted.verdict()),
        "reason",
        Reasons.text(counted.reason()));
  }

  /** Whether it is told on its own; else it was added to a sum. */
  private boolean budgeted(String tenant, AuditEvent.Builder event, long now) {
    Source source = new Source(tenant, event.getSandbox());
    Budget budget = budgets.get(source);
    if (budget != null && now - budget.began >= INTERVAL_MILLIS) {
      tell(source, budget);
      budget = null;
    }
    if (budget == null) {
      budget = new Budget(now);
      budgets.put(source, budget);
    }
    if (budget.apart < MAX_APART) {
      budget.apart++;
      return true;
    }
    AuditEvent.Builder sum =
        budget.sums.computeIfAbsent(
            new Sum(event.getProtocol(), event.getReasonValue()),
            _ ->
                AuditEvent.newBuilder()
                    .setTime(event.getTime())
                    .setType(event.getType())
                    .setReportedBy(event.getReportedBy())
                    .setSandbox(event.getSandbox())
                    .setProtocol(event.getProtocol())
                    .setVerdict(event.getVerdict())
                    .setReason(event.getReason())
                    .setLearning(event.getLearning())
                    .setMessage("more kinds within a minute than are told apart"));
    sum.setCount(sum.getCount() + 1);
    return false;
  }

  private void tell(Source source, Budget budget) {
    budget.sums.values().forEach(sum -> spool.add(source.tenant(), sum.build()));
  }

  /** Tells what was counted in windows that are over. Called about once a second. */
  public void flush() {
    flush(false);
  }

  /** Tells everything that was counted: the process ends. */
  void finish() {
    flush(true);
  }

  private void flush(boolean all) {
    spool.mend();
    long now = clock.millis();
    synchronized (windows) {
      budgets
          .entrySet()
          .removeIf(entry -> {
            boolean over = all || now - entry.getValue().began >= INTERVAL_MILLIS;
            if (over) {
              tell(entry.getKey(), entry.getValue());
            }
            return over;
          });
      windows
          .entrySet()
          .removeIf(entry -> {
            boolean over = all || now - entry.getValue().began >= WINDOW_MILLIS;
            if (over) {
              flush(entry.getKey(), entry.getValue());
            }
            return over;
          });
    }
  }

  private void flush(Kind kind, Window window) {
    if (window.repeats > 0) {
      spool.add(kind.tenant(), window.event.setCount(window.repeats).build());
    }
  }

  private static Kind kind(String tenant, AuditEvent.Builder event) {
    return new Kind(
        tenant,
        event.getSandbox(),
        event.getProtocol(),
        event.getHost(),
        event.getPort(),
        event.getReasonValue(),
        List.copyOf(event.getDataList()));
  }
}
