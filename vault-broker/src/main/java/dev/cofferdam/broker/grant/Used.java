package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.policy.UseLimits;
import dev.cofferdam.broker.sql.Tx;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What one grant has used of its secret's limits. Its row is held until the transaction ends, so
 * that no two gateways, at whatever brokers, count past a cap together.
 */
final class Used {
  private final String grant;
  private long uses;

  /** Negative: the bucket is full, however large. */
  private double tokens;

  private Instant time;
  private boolean changed;

  private Used(String grant, long uses, double tokens, Instant time) {
    this.grant = grant;
    this.uses = uses;
    this.tokens = tokens;
    this.time = time;
  }

  /** By grant, in the order in which all lock them. */
  static Map<String, Used> hold(Tx tx, Collection<String> grants, Instant now) throws SQLException {
    Map<String, Used> held = new HashMap<>();
    if (grants.isEmpty()) {
      return held;
    }
    List<String> ordered = grants.stream().sorted().distinct().toList();
    hold(tx, ordered, held);
    if (held.size() < ordered.size()) {
      // Of the first use of a grant.
      var _ =
          tx.update(
              "insert into secret_use (secret_grant, uses, tokens, time)"
                  + " select g, 0, -1, ? from unnest(?) as g order by g collate \"C\""
                  + " on conflict do nothing",
              now,
              ordered);
      hold(tx, ordered, held);
    }
    return held;
  }

  private static void hold(Tx tx, List<String> grants, Map<String, Used> held) throws SQLException {
    tx.list(
            "select secret_grant, uses, tokens, time from secret_use"
                + " where secret_grant = any (?) order by secret_grant collate \"C\" for update",
            row ->
                new Used(
                    row.getString("secret_grant"),
                    row.getLong("uses"),
                    row.getDouble("tokens"),
                    Tx.instant(row, "time")),
            grants)
        .forEach(used -> held.put(used.grant, used));
  }

  /** Whether one more use is within the limits. */
  boolean allows(UseLimits limits, Instant now) {
    return (limits.uses() == 0 || uses < limits.uses())
        && (limits.rate() == 0 || filled(limits, now) >= 1);
  }

  void count(UseLimits limits, Instant now) {
    uses++;
    if (limits.rate() > 0) {
      tokens = filled(limits, now) - 1;
      // A clock that was set back gives no token twice.
      time = now.isBefore(time) ? time : now;
    }
    changed = true;
  }

  private double filled(UseLimits limits, Instant now) {
    if (tokens < 0) {
      return limits.rate();
    }
    double passed = Math.max(0, Duration.between(time, now).toMillis());
    return Math.min(limits.rate(), tokens + passed * limits.rate() / limits.per().toMillis());
  }

  void write(Tx tx) throws SQLException {
    if (changed) {
      var _ =
          tx.update(
              "update secret_use set uses = ?, tokens = ?, time = ? where secret_grant = ?",
              uses,
              tokens,
              time,
              grant);
    }
  }
}
