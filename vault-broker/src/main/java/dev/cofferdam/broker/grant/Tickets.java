package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.sql.Tx;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Optional;

/** Attach tickets: opaque, single use, short-lived, bound to one assignment of one sandbox. */
final class Tickets {
  static final Duration LIFE = Duration.ofSeconds(60);

  private final RandomTokens tokens;
  private final InstantSource clock;

  Tickets(RandomTokens tokens, InstantSource clock) {
    this.tokens = tokens;
    this.clock = clock;
  }

  /** What a ticket stands for. */
  record Ticket(
      String tenant,
      String sandbox,
      long generation,
      String node,
      long epoch,
      Instant expires,
      boolean redeemed) {
    static Ticket of(ResultSet row) throws SQLException {
      return new Ticket(
          row.getString("tenant"),
          row.getString("sandbox"),
          row.getLong("generation"),
          row.getString("node"),
          row.getLong("epoch"),
          Tx.instant(row, "expire_time"),
          row.getBoolean("redeemed"));
    }

    /** Why it may not attach this sandbox there and then; empty where it may. */
    Optional<String> problem(Sandbox now, String atNode, Instant time) {
      if (redeemed) {
        return Optional.of("it was redeemed before");
      }
      if (!time.isBefore(expires)) {
        return Optional.of("it has expired");
      }
      if (!node.equals(atNode)) {
        return Optional.of("it is of another node");
      }
      if (now.revoked()) {
        return Optional.of("the sandbox has ended");
      }
      if (generation != now.generation()) {
        return Optional.of("its placeholders were issued anew");
      }
      return Optional.empty();
    }
  }

  String issue(Tx tx, Sandbox sandbox) throws SQLException {
    String ticket = tokens.ticket();
    Instant now = clock.instant();
    tx.update(
        "insert into attach_ticket (sha256, tenant, sandbox, generation, node, epoch, expire_time)"
            + " values (?, ?, ?, ?, ?, ?, ?)",
        RandomTokens.hash(ticket),
        sandbox.tenant(),
        sandbox.id(),
        sandbox.generation(),
        sandbox.node(),
        sandbox.epoch(),
        now.plus(LIFE));
    return ticket;
  }

  static Optional<Ticket> find(Tx tx, String ticket) throws SQLException {
    return tx.first(
        "select *, redeem_time is not null as redeemed from attach_ticket where sha256 = ?",
        Ticket::of,
        RandomTokens.hash(ticket));
  }

  /** True for the one caller, over all brokers, that redeems it. */
  static boolean redeem(Tx tx, String ticket, Instant now) throws SQLException {
    return tx.update(
            "update attach_ticket set redeem_time = ? where sha256 = ? and redeem_time is null",
            now,
            RandomTokens.hash(ticket))
        == 1;
  }
}
