package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.snapshot.SnapshotKind;
import dev.cofferdam.scheduler.snapshot.SnapshotState;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Creating;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleted;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleting;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Ready;
import dev.cofferdam.scheduler.store.RequestStore.KnownRequest;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The records of snapshots, changed as {@link SandboxStore} changes those of sandboxes. Safe for
 * use by several threads; every method may throw the Refusal of {@link Database}.
 */
public final class SnapshotStore {
  private static final String COLUMNS =
      """
      id, tenant, sandbox, generation, kind, template, vcpus, memory_mib, disk_mib, create_time,
      node, listed, bytes, version, state, process, delete_time,
      """
          + Labels.COLUMNS;

  private final Database database;
  private final EventStore events;

  public SnapshotStore(Database database, EventStore events) {
    this.database = database;
    this.events = events;
  }

  /**
   * Stores the record of one that begins, and its request id, unless the tenant has {@code quota}
   * of them that nobody deletes. Those that are not listed are bounded by what needs them.
   */
  public CreateOutcome create(Snapshot snapshot, Optional<RequestKey> request, int quota) {
    return database.transact(connection -> {
      EventStore.lock(connection, snapshot.tenant());
      if (request.isPresent()) {
        Optional<KnownRequest> known =
            RequestStore.remember(
                connection,
                snapshot.tenant(),
                request.get(),
                List.of(snapshot.id()),
                snapshot.createTime());
        if (known.isPresent()) {
          return new CreateOutcome.Duplicate(known.get());
        }
      }
      int inUse = snapshot.listed() ? inUse(connection, snapshot.tenant()) : 0;
      if (inUse >= quota) {
        connection.rollback();
        return new CreateOutcome.OverQuota(inUse);
      }
      insert(connection, snapshot);
      return new CreateOutcome.Created();
    });
  }

  /** False when the record is no longer what the change was made from; nothing was stored. */
  public boolean apply(Snapshot.Change change) {
    Snapshot after = change.after();
    boolean stored =
        database.transact(connection -> {
          if (change.event().isPresent()) {
            EventStore.lock(connection, after.tenant());
          }
          if (!update(connection, change)) {
            return false;
          }
          if (change.before().state() instanceof Creating && after.state() instanceof Deleting) {
            // Whatever ended it, its create failed and may be tried again under its id.
            RequestStore.forget(connection, after.id());
          }
          if (change.event().isPresent()) {
            EventStore.insert(connection, after.tenant(), after.sandbox(), change.event().get());
          }
          return true;
        });
    if (stored && change.event().isPresent()) {
      events.announce(after.tenant());
    }
    return stored;
  }

  /** Also one that is gone; empty for what cannot be an id. */
  public Optional<Snapshot> find(String id) {
    if (!Snapshot.isId(id)) {
      return Optional.empty();
    }
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("select " + COLUMNS + " from snapshots where id = ?")) {
        statement.setString(1, id);
        return readAll(statement).stream().findFirst();
      }
    });
  }

  /**
   * Newest first, of those that are listed and not gone.
   *
   * @param sandbox empty: of all
   */
  public List<Snapshot> page(
      String tenant,
      String sandbox,
      Map<String, String> labels,
      Optional<Position> after,
      int limit) {
    return database.read(connection -> {
      String sql =
          "select "
              + COLUMNS
              + " from snapshots where tenant = ? and listed and state <> 'DELETED'"
              + (sandbox.isEmpty() ? "" : " and sandbox = ?")
              + (labels.isEmpty() ? "" : " and labels @> jsonb_object(?, ?)")
              + (after.isEmpty() ? "" : " and (create_time, id) < (?, ?)")
              + " order by create_time desc, id desc limit ?";
      try (PreparedStatement statement = connection.prepareStatement(sql)) {
        int index = 1;
        statement.setString(index++, tenant);
        if (!sandbox.isEmpty()) {
          statement.setString(index++, sandbox);
        }
        if (!labels.isEmpty()) {
          index = Labels.set(connection, statement, index, labels);
        }
        if (after.isPresent()) {
          SandboxRows.setInstant(statement, index++, after.get().createTime());
          statement.setString(index++, after.get().id());
        }
        statement.setInt(index, limit);
        return readAll(statement);
      }
    });
  }

  /** Those that come or go: whoever drives them may be gone. */
  public List<Snapshot> unsettled() {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select "
                  + COLUMNS
                  + " from snapshots where state in ('CREATING', 'DELETING') order by id")) {
        return readAll(statement);
      }
    });
  }

  /** Forgets what was gone before a time. */
  public int prune(Instant gone) {
    return database.transact(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("delete from snapshots where delete_time < ?")) {
        SandboxRows.setInstant(statement, 1, gone);
        return statement.executeUpdate();
      }
    });
  }

  private static int inUse(Connection connection, String tenant) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select count(*) from snapshots where tenant = ? and listed"
                + " and state in ('CREATING', 'READY')")) {
      statement.setString(1, tenant);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getInt(1);
      }
    }
  }

  private static void insert(Connection connection, Snapshot snapshot) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            insert into snapshots (id, tenant, sandbox, generation, kind, template,
              vcpus, memory_mib, disk_mib, labels, create_time, node, listed, bytes, version,
              state, process, delete_time)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, jsonb_object(?, ?), ?, ?, ?, ?, ?, ?, ?, ?)
            """)) {
      int index = 1;
      statement.setString(index++, snapshot.id());
      statement.setString(index++, snapshot.tenant());
      statement.setString(index++, snapshot.sandbox());
      statement.setLong(index++, snapshot.generation());
      statement.setString(index++, snapshot.kind().name());
      statement.setString(index++, snapshot.template());
      statement.setInt(index++, snapshot.size().vcpus());
      statement.setInt(index++, snapshot.size().memoryMib());
      statement.setInt(index++, snapshot.size().diskMib());
      index = Labels.set(connection, statement, index, snapshot.labels());
      SandboxRows.setInstant(statement, index++, snapshot.createTime());
      statement.setString(index++, snapshot.node());
      statement.setBoolean(index++, snapshot.listed());
      statement.setLong(index++, snapshot.bytes());
      statement.setLong(index++, snapshot.version());
      setState(statement, index, snapshot.state());
      statement.executeUpdate();
    }
  }

  private static boolean update(Connection connection, Snapshot.Change change) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            update snapshots set bytes = ?, version = ?, state = ?, process = ?, delete_time = ?
            where id = ? and version = ?
            """)) {
      statement.setLong(1, change.after().bytes());
      statement.setLong(2, change.after().version());
      setState(statement, 3, change.after().state());
      statement.setString(6, change.after().id());
      statement.setLong(7, change.before().version());
      return statement.executeUpdate() == 1;
    }
  }

  /** Sets the state and the two columns that carry its facts, from {@code index} on. */
  private static void setState(PreparedStatement statement, int index, SnapshotState state)
      throws SQLException {
    String name =
        switch (state) {
          case Creating _ -> "CREATING";
          case Ready _ -> "READY";
          case Deleting _ -> "DELETING";
          case Deleted _ -> "DELETED";
        };
    @Nullable UUID process = state instanceof Creating creating ? creating.process() : null;
    statement.setString(index, name);
    statement.setObject(index + 1, process, Types.OTHER);
    SandboxRows.setInstant(
        statement, index + 2, state instanceof Deleted deleted ? deleted.at() : null);
  }

  private static List<Snapshot> readAll(PreparedStatement statement) throws SQLException {
    List<Snapshot> snapshots = new ArrayList<>();
    try (ResultSet rows = statement.executeQuery()) {
      while (rows.next()) {
        snapshots.add(read(rows));
      }
    }
    return snapshots;
  }

  private static Snapshot read(ResultSet row) throws SQLException {
    String state = row.getString("state");
    return new Snapshot(
        row.getString("id"),
        row.getString("tenant"),
        row.getString("sandbox"),
        row.getLong("generation"),
        SnapshotKind.valueOf(row.getString("kind")),
        row.getString("template"),
        new SandboxSize(row.getInt("vcpus"), row.getInt("memory_mib"), row.getInt("disk_mib")),
        Labels.read(row),
        SandboxRows.instant(row, "create_time"),
        row.getString("node"),
        row.getBoolean("listed"),
        row.getLong("bytes"),
        row.getLong("version"),
        switch (state) {
          case "CREATING" -> new Creating(row.getObject("process", UUID.class));
          case "READY" -> new Ready();
          case "DELETING" -> new Deleting();
          case "DELETED" -> new Deleted(SandboxRows.instant(row, "delete_time"));
          default ->
              throw new SQLException("state of " + row.getString("id") + " is " + state, "XX001");
        });
  }
}
