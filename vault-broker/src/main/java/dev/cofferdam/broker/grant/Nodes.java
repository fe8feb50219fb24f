package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.AuditRow;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Tx;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.Collection;
import java.util.List;

/**
 * Which nodes are lost: what is attached on one gets no value until it is back. The node's row is
 * what a materialisation holds, so a suspension is before or after it and never in between; and
 * since it goes by where a sandbox is attached, one that moved away is not concerned, one that
 * comes later is.
 */
public final class Nodes {
  private final Database database;
  private final AuditLog audit;
  private final InstantSource clock;

  /**
   * @param known every node that may attach anything
   */
  public Nodes(Database database, AuditLog audit, Collection<String> known, InstantSource clock) {
    this.database = database;
    this.audit = audit;
    this.clock = clock;
    List<String> nodes = known.stream().sorted().toList();
    var _ =
        database.transact(tx ->
            tx.update(
                "insert into node (instance) select unnest(?) on conflict do nothing", nodes));
  }

  /** How many sandboxes are attached there. Goes on record at each of them, once. */
  public int suspend(String node, boolean suspended) {
    SandboxGrants.checkNode(node);
    return database.transact(tx -> {
      boolean changed =
          tx.update(
                  "insert into node as n (instance, suspended) values (?, ?) on conflict (instance)"
                      + " do update set suspended = excluded.suspended"
                      + " where n.suspended <> excluded.suspended",
                  node,
                  suspended)
              == 1;
      List<AuditRow> rows = attached(tx, node, suspended);
      if (changed) {
        audit.append(tx, rows);
      }
      return rows.size();
    });
  }

  private List<AuditRow> attached(Tx tx, String node, boolean suspended) throws SQLException {
    String what =
        suspended
            ? "all grants suspended: node %s is lost".formatted(node)
            : "all grants back in use: node %s is back".formatted(node);
    return tx.list(
        "select distinct s.id, s.tenant from attachment a join sandbox s on s.id = a.sandbox"
            + " where a.node = ? and not a.detached and s.revoke_time is null order by s.id",
        row -> Records.change(clock.instant(), row.getString("tenant"), row.getString("id"), what),
        node);
  }
}
