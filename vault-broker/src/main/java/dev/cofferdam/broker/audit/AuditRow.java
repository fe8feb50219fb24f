package dev.cofferdam.broker.audit;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;

/**
 * An event about to be written.
 *
 * @param tenant whose it is; empty for what belongs to none, which no tenant sees
 * @param event with its type, its time and a count of at least 1, without a cursor
 */
public record AuditRow(String tenant, AuditEvent event) {
  public AuditRow {
    if (event.getType() == AuditEventType.AUDIT_EVENT_TYPE_UNSPECIFIED || !event.hasTime()) {
      throw new IllegalArgumentException("an audit event without type or time: " + event.getType());
    }
    if (!event.getCursor().isEmpty()) {
      throw new IllegalArgumentException("the cursor is the log's to give");
    }
    if (event.getCount() == 0) {
      event = event.toBuilder().setCount(1).build();
    }
  }
}
