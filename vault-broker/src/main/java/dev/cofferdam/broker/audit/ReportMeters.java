package dev.cofferdam.broker.audit;

import dev.cofferdam.kit.metrics.Times;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.time.Instant;

/** What is told of reports that were written: how late they came, and what never came. */
final class ReportMeters {
  private final Timer gatewayLag;
  private final Timer nodeLag;
  private final Counter gaps;

  ReportMeters(MeterRegistry meters) {
    gatewayLag = lag(meters, "gateway");
    nodeLag = lag(meters, "node");
    gaps =
        Counter.builder("cofferdam.broker.audit.gaps")
            .description("Holes in the numbers of a spool, once for each tenant that was told")
            .register(meters);
  }

  private static Timer lag(MeterRegistry meters, String reporter) {
    return Times.histogram(
            "cofferdam.broker.audit.lag", "From an event's own time to its record's commit")
        .tag("reported_by", reporter)
        .register(meters);
  }

  void written(AuditEvent event, Instant now) {
    if (event.getType() == AuditEventType.AUDIT_EVENT_TYPE_GAP) {
      gaps.increment();
      return;
    }
    Instant happened =
        Instant.ofEpochSecond(event.getTime().getSeconds(), event.getTime().getNanos());
    Duration lag = Duration.between(happened, now);
    // Two machines' clocks differ.
    (event.getReportedBy().equals("node") ? nodeLag : gatewayLag)
        .record(lag.isNegative() ? Duration.ZERO : lag);
  }
}
