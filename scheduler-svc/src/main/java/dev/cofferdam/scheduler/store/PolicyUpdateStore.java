package dev.cofferdam.scheduler.store;

import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * Updates of policies that were begun at the broker and whose outcome is not on record yet. Safe
 * for use by several threads.
 */
public final class PolicyUpdateStore {
  private final Database database;

  public PolicyUpdateStore(Database database) {
    this.database = database;
  }

  /** Before the broker is asked. */
  public void begin(String sandbox, Instant time) {
    change(
        "insert into policy_updates (sandbox, begin_time) values (?, ?) on conflict do nothing",
        sandbox,
        time);
  }

  /** What it led to is on record. */
  public void end(String sandbox, Instant begun) {
    change("delete from policy_updates where sandbox = ? and begin_time = ?", sandbox, begun);
  }

  /** The sandboxes with an update that was begun before {@code time}. */
  public List<String> begunBefore(Instant time) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select distinct sandbox from policy_updates where begin_time < ?")) {
        SandboxRows.setInstant(statement, 1, time);
        List<String> sandboxes = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            sandboxes.add(rows.getString("sandbox"));
          }
        }
        return sandboxes;
      }
    });
  }

  /** The outcome of all that were begun before {@code time} is on record. */
  public void endBefore(String sandbox, Instant time) {
    change("delete from policy_updates where sandbox = ? and begin_time < ?", sandbox, time);
  }

  private void change(String sql, String sandbox, Instant time) {
    database.read(connection -> {
      try (PreparedStatement statement = connection.prepareStatement(sql)) {
        statement.setString(1, sandbox);
        SandboxRows.setInstant(statement, 2, time);
        return statement.executeUpdate();
      }
    });
  }
}
