package dev.cofferdam.cli;

import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.AccessTokenSource;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.Verdict;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.StringJoiner;

/** One event as one line: time, sandbox, what, and the facts that are set. */
record EventLine(Instant time, String text) implements Comparable<EventLine> {
  static EventLine of(SandboxEvent event) {
    Instant time = instant(event.getTime());
    StringJoiner line = start(time, event.getSandbox());
    line.add(word(event.getType().name(), "SANDBOX_EVENT_TYPE_"));
    add(line, "message", event.getMessage());
    return new EventLine(time, line.toString());
  }

  static EventLine of(AuditEvent event) {
    Instant time = instant(event.getTime());
    StringJoiner line = start(time, event.getSandbox());
    line.add(word(event.getType().name(), "AUDIT_EVENT_TYPE_"));
    if (event.getVerdict() != Verdict.VERDICT_UNSPECIFIED) {
      line.add(word(event.getVerdict().name(), "VERDICT_"));
    }
    if (event.getReason() != EgressReason.EGRESS_REASON_UNSPECIFIED) {
      line.add(word(event.getReason().name(), "EGRESS_REASON_"));
    }
    add(line, "protocol", event.getProtocol());
    add(line, "method", event.getMethod());
    if (!event.getHost().isEmpty()) {
      String port = event.getPort() == 0 ? "" : ":" + event.getPort();
      line.add("host=" + shown(event.getHost()) + port);
    }
    add(line, "path", event.getPath());
    add(line, "secret", event.getSecret());
    add(line, "target", event.getTarget());
    if (event.getAccessToken() != AccessTokenSource.ACCESS_TOKEN_SOURCE_UNSPECIFIED) {
      line.add("access_token=" + word(event.getAccessToken().name(), "ACCESS_TOKEN_SOURCE_"));
    }
    add(line, "status", event.getStatus() == 0 ? "" : Integer.toString(event.getStatus()));
    add(line, "count", event.getCount() > 1 ? Long.toString(event.getCount()) : "");
    add(line, "by", event.getReportedBy());
    add(line, "uninspected", event.getUninspected() ? "true" : "");
    add(line, "downgraded", event.getDowngraded() ? "true" : "");
    add(line, "learned", event.getLearned() ? "true" : "");
    add(line, "approval", event.getApproval());
    add(line, "token", event.getToken());
    add(line, "data", String.join(",", event.getDataList()));
    add(line, "request", event.getRequest());
    add(line, "message", event.getMessage());
    return new EventLine(time, line.toString());
  }

  private static StringJoiner start(Instant time, String sandbox) {
    StringJoiner line = new StringJoiner(" ");
    line.add(time.truncatedTo(ChronoUnit.MILLIS).toString());
    line.add(sandbox.isEmpty() ? "-" : sandbox);
    return line;
  }

  private static void add(StringJoiner line, String name, String value) {
    if (!value.isEmpty()) {
      line.add(name + "=" + shown(value));
    }
  }

  /** A guest chooses hosts and paths: nothing of them may steer the reader's terminal. */
  static String shown(String value) {
    StringBuilder safe = new StringBuilder();
    boolean quote = false;
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      quote |= c == ' ' || c == '"';
      if (c < 0x20 || (c >= 0x7f && c < 0xa0) || Character.getType(c) == Character.FORMAT) {
        safe.append("\\u%04x".formatted((int) c));
      } else if (c == '"' || c == '\\') {
        safe.append('\\').append(c);
      } else {
        safe.append(c);
      }
    }
    return quote ? "\"" + safe + "\"" : safe.toString();
  }

  private static String word(String name, String prefix) {
    return name.replace(prefix, "").toLowerCase(Locale.ROOT);
  }

  private static Instant instant(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }

  @Override
  public int compareTo(EventLine other) {
    return time.compareTo(other.time);
  }
}
