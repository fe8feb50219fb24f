package dev.cofferdam.gateway.event;

import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.Verdict;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Where every decision is told. Refusals that repeat within a second are counted into one event, so
 * that a guest that hammers a closed door cannot fill the spool of all. Safe for use by several
 * threads.
 */
public final class Decisions {
  private static final long WINDOW_MILLIS = TimeUnit.SECONDS.toMillis(1);

  /** Kinds of refusals told apart within one window; what is beyond is counted together. */
  private static final int MAX_KINDS = 1024;

  private record Kind(
      String tenant, String sandbox, String protocol, String host, int port, int reason) {}

  private static final class Window {
    final AuditEvent.Builder event;
    final long began;
    long repeats;

    Window(AuditEvent.Builder event, long began) {
      this.event = event;
      this.began = began;
    }
  }

  private final EventSpool spool;
  private final InstantSource clock;
  private final MeterRegistry meters;
  private final Map<Kind, Window> windows = new LinkedHashMap<>();

  public Decisions(EventSpool spool, InstantSource clock, MeterRegistry meters) {
    this.spool = spool;
    this.clock = clock;
    this.meters = meters;
    meters.gauge("cofferdam.gateway.spool.depth", spool, EventSpool::depth);
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
    meters
        .counter(
            "cofferdam.gateway.decisions",
            "protocol",
            event.getProtocol(),
            "verdict",
            event.getVerdict().name().replace("VERDICT_", "").toLowerCase(Locale.ROOT),
            "reason",
            Reasons.text(event.getReason()))
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
        flush(kind, window);
      } else if (windows.size() >= MAX_KINDS) {
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

  /** Tells what was counted in windows that are over. Called about once a second. */
  public void flush() {
    long now = clock.millis();
    synchronized (windows) {
      windows
          .entrySet()
          .removeIf(entry -> {
            boolean over = now - entry.getValue().began >= WINDOW_MILLIS;
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
        event.getReasonValue());
  }
}
