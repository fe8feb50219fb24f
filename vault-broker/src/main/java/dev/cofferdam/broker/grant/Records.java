package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.audit.AuditRow;
import dev.cofferdam.broker.audit.AuditTexts;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.Verdict;
import java.time.Instant;

/** Rows for the audit of changes to grants and attachments. */
final class Records {
  private Records() {}

  static AuditRow change(Instant time, String tenant, String sandbox, String message) {
    return row(time, tenant, sandbox, Verdict.VERDICT_ALLOWED, message);
  }

  static AuditRow refused(Instant time, String tenant, String sandbox, String message) {
    return row(time, tenant, sandbox, Verdict.VERDICT_DENIED, message);
  }

  private static AuditRow row(
      Instant time, String tenant, String sandbox, Verdict verdict, String message) {
    return new AuditRow(
        tenant,
        AuditEvent.newBuilder()
            .setType(AuditEventType.AUDIT_EVENT_TYPE_CHANGE)
            .setTime(AuditTexts.timestamp(time))
            .setSandbox(sandbox)
            .setVerdict(verdict)
            .setReportedBy("broker")
            .setMessage(AuditTexts.line(message, 512))
            .build());
  }
}
