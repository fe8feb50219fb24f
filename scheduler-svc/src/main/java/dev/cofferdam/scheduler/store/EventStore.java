package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.sandbox.EventDraft;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Lifecycle events. Numbers of an identity column become visible in the order of commits, not of
 * the numbers; a reader that goes on from the largest one seen would miss those that commit later.
 * Hence each writer holds a lock of the tenant from before it draws a number until it has
 * committed. Safe for use by several threads.
 */
public final class EventStore {
  /** Keeps this service's advisory locks apart from others in the same database. */
  private static final long LOCK_SEED = 7400;

  private final Database database;
  private final Map<String, Set<Runnable>> listeners = new ConcurrentHashMap<>();

  public EventStore(Database database) {
    this.database = database;
  }

  /** Up to {@code limit} events after the cursor, in order. */
  public List<SandboxEvent> after(String tenant, String sandbox, long cursor, int limit) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select id, sandbox, kind, message, time from sandbox_events"
                  + " where tenant = ? and id > ?"
                  + (sandbox.isEmpty() ? "" : " and sandbox = ?")
                  + " order by id limit ?")) {
        int index = 1;
        statement.setString(index++, tenant);
        statement.setLong(index++, cursor);
        if (!sandbox.isEmpty()) {
          statement.setString(index++, sandbox);
        }
        statement.setInt(index, limit);
        List<SandboxEvent> events = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            events.add(
                new SandboxEvent(
                    rows.getLong("id"),
                    rows.getString("sandbox"),
                    new EventDraft(
                        EventDraft.Kind.valueOf(rows.getString("kind")),
                        SandboxRows.instant(rows, "time"),
                        rows.getString("message"))));
          }
        }
        return events;
      }
    });
  }

  /** The largest number ever drawn, by any tenant. A cursor beyond it was never given out here. */
  public long last() {
    return database.read(connection -> {
      try (PreparedStatement statement =
              connection.prepareStatement(
                  "select coalesce(pg_sequence_last_value("
                      + "pg_get_serial_sequence('sandbox_events', 'id')), 0)");
          ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getLong(1);
      }
    });
  }

  /**
   * Runs {@code listener} after each commit of an event of the tenant, on the committing thread: it
   * must not block.
   */
  public Subscription subscribe(String tenant, Runnable listener) {
    listeners.computeIfAbsent(tenant, _ -> ConcurrentHashMap.newKeySet()).add(listener);
    return () ->
        listeners.computeIfPresent(
            tenant,
            (_, all) -> {
              all.remove(listener);
              return all.isEmpty() ? null : all;
            });
  }

  /** Ends a {@link #subscribe}. */
  @FunctionalInterface
  public interface Subscription extends AutoCloseable {
    @Override
    void close();
  }

  /** Forgets events from before a time. */
  public int prune(Instant before) {
    return database.transact(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("delete from sandbox_events where time < ?")) {
        SandboxRows.setInstant(statement, 1, before);
        return statement.executeUpdate();
      }
    });
  }

  void announce(String tenant) {
    listeners.getOrDefault(tenant, Set.of()).forEach(Runnable::run);
  }

  /** Until the transaction ends. Also what serialises a tenant's creates for its quota. */
  static void lock(Connection connection, String tenant) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("select pg_advisory_xact_lock(hashtextextended(?, ?))")) {
      statement.setString(1, tenant);
      statement.setLong(2, LOCK_SEED);
      statement.executeQuery().close();
    }
  }

  /** Only under {@link #lock}. */
  static void insert(Connection connection, Sandbox sandbox, EventDraft event) throws SQLException {
    insert(connection, sandbox.tenant(), sandbox.id(), event);
  }

  /** Only under {@link #lock}. */
  static void insert(Connection connection, String tenant, String sandbox, EventDraft event)
      throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "insert into sandbox_events (tenant, sandbox, kind, message, time)"
                + " values (?, ?, ?, ?, ?)")) {
      statement.setString(1, tenant);
      statement.setString(2, sandbox);
      statement.setString(3, event.kind().name());
      statement.setString(4, event.message());
      SandboxRows.setInstant(statement, 5, event.time());
      statement.executeUpdate();
    }
  }
}
