package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.sql.Database;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;

/** Forgets the rows that nobody asks for any more. Any number of brokers may do so at once. */
public final class Retention {
  /** After its expiry. Until then the refusal of a ticket says what is wrong with it. */
  static final Duration APPROVAL = Duration.ofDays(1);

  static final Duration TICKET = Duration.ofHours(1);

  /** After its sandbox's end. Until then a gateway's spool may still report of it. */
  static final Duration ATTACHMENT = Duration.ofDays(7);

  /** Rows in one transaction. */
  private static final int BATCH = 1000;

  private final Database database;
  private final InstantSource clock;
  private final Duration grants;

  /**
   * @param grants how long a sandbox's grants are kept after its end. A copy that is made later
   *     inherits none of its placeholders
   */
  public Retention(Database database, InstantSource clock, Duration grants) {
    this.database = database;
    this.clock = clock;
    this.grants = grants;
  }

  public void sweep() {
    Instant now = clock.instant();
    sweep(
        "delete from attach_ticket where sha256 in (select sha256 from attach_ticket"
            + " where expire_time < ? limit ? for update skip locked)",
        now.minus(TICKET));
    sweep(
        "delete from attachment where (gateway, sandbox) in"
            + " (select a.gateway, a.sandbox from attachment a join sandbox s on s.id = a.sandbox"
            + " where a.detached and s.revoke_time < ? limit ? for update of a skip locked)",
        now.minus(ATTACHMENT));
    sweep(
        "delete from approval where id in (select id from approval where expire_time < ?"
            + " limit ? for update skip locked)",
        now.minus(APPROVAL));
    sweep(
        "delete from standing_approval where (sandbox, kind) in (select sandbox, kind"
            + " from standing_approval where expire_time < ? limit ? for update skip locked)",
        now);
    // Sandboxes and their lineages stay: the broker cannot know of what there are snapshots.
    sweep(
        "delete from secret_grant where id in (select g.id from secret_grant g"
            + " join sandbox s on s.id = g.sandbox where g.revoked and s.revoke_time < ?"
            + " limit ? for update of g skip locked)",
        now.minus(grants));
  }

  private void sweep(String delete, Instant before) {
    int gone;
    do {
      gone = database.transact(tx -> tx.update(delete, before, BATCH));
    } while (gone == BATCH);
  }
}
