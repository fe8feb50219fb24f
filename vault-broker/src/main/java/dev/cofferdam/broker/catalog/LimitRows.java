package dev.cofferdam.broker.catalog;

import dev.cofferdam.broker.policy.UseLimits;
import dev.cofferdam.broker.sql.Tx;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;

/** The rows of secrets' limits, which are read with their secrets. */
final class LimitRows {
  private LimitRows() {}

  static void put(Tx tx, UUID secret, UseLimits limits) throws SQLException {
    tx.update("delete from secret_limit where secret = ?", secret);
    if (limits.equals(UseLimits.NONE)) {
      return;
    }
    tx.update(
        "insert into secret_limit (secret, uses, rate, per_ms) values (?, ?, ?, ?)",
        secret,
        limits.uses(),
        limits.rate(),
        limits.per().toMillis());
    if (limits.expireTime().isPresent()) {
      tx.update(
          "update secret_limit set expire_time = ? where secret = ?",
          limits.expireTime().get(),
          secret);
    }
  }

  /** Of a row of a secret, with or without any. */
  static UseLimits read(ResultSet row) throws SQLException {
    Timestamp expires = row.getTimestamp("limit_expire_time");
    return new UseLimits(
        row.getLong("limit_uses"),
        row.getInt("limit_rate"),
        Duration.ofMillis(row.getLong("limit_per_ms")),
        Optional.ofNullable(expires).map(Timestamp::toInstant));
  }
}
