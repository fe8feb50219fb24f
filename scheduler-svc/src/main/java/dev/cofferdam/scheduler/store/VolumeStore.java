package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.scheduler.volume.VolumeState;
import dev.cofferdam.scheduler.volume.VolumeState.Making;
import dev.cofferdam.scheduler.volume.VolumeState.Ready;
import dev.cofferdam.scheduler.volume.VolumeState.Removing;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The records of volumes. A change is stored only from the state that it is for. Which sandbox has
 * one is changed by {@link SandboxStore} alone, in the transaction of that sandbox's record. Safe
 * for use by several threads; every method may throw the Refusal of {@link Database}.
 */
public final class VolumeStore {
  private static final String COLUMNS =
      "id, tenant, name, size_mib, node, source_id, source_name, template, template_offer,"
          + " create_time, state, process, sandbox";

  /** What came of storing the record of a volume that begins. */
  public sealed interface Outcome {
    /**
     * @param holder of its source: the one sandbox that may write to it until the copy is made
     */
    record Created(Optional<Sandbox> holder) implements Outcome {}

    /** Its name was taken just before. */
    record Exists() implements Outcome {}

    /** Its source went just before. */
    record SourceGone() implements Outcome {}

    record OverQuota(int inUse) implements Outcome {}
  }

  private final Database database;

  public VolumeStore(Database database) {
    this.database = database;
  }

  /** Stores the record of one that begins, unless the tenant has {@code quota} of them. */
  public Outcome create(Volume volume, int quota) {
    return database.transact(connection -> {
      // From here to the commit no sandbox of the tenant gets a volume, nor gives one up unseen.
      EventStore.lock(connection, volume.tenant());
      Optional<Sandbox> holder = Optional.empty();
      if (volume.source().isPresent()) {
        Optional<Volume> source = find(connection, volume.source().get().id());
        if (source.isEmpty() || !(source.get().state() instanceof Ready ready)) {
          return new Outcome.SourceGone();
        }
        if (ready.sandbox().isPresent()) {
          holder = SandboxStore.find(connection, ready.sandbox().get());
        }
      }
      int inUse = inUse(connection, volume.tenant());
      if (inUse >= quota) {
        return new Outcome.OverQuota(inUse);
      }
      return insert(connection, volume) ? new Outcome.Created(holder) : new Outcome.Exists();
    });
  }

  /** False when it no longer was being made. */
  public boolean ready(String id) {
    return changed(
        "update volumes set state = 'READY', process = null where id = ? and state = 'MAKING'", id);
  }

  /** False when it is no longer being made: one that is whole is never given up by this. */
  public boolean abandon(String id) {
    return changed(
        "update volumes set state = 'REMOVING', process = null where id = ? and state = 'MAKING'",
        id);
  }

  /** False when a sandbox has it, or it goes already. */
  public boolean giveUp(String id) {
    return changed(
        "update volumes set state = 'REMOVING'"
            + " where id = ? and state = 'READY' and sandbox is null",
        id);
  }

  /** Nothing of it is left. */
  public void forget(String id) {
    var _ = changed("delete from volumes where id = ? and state = 'REMOVING'", id);
  }

  public Optional<Volume> find(String id) {
    return database.read(connection -> find(connection, id));
  }

  /** Also one that is being made; empty for what cannot be a name. */
  public Optional<Volume> find(String tenant, String name) {
    if (!Volume.isName(name)) {
      return Optional.empty();
    }
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select "
                  + COLUMNS
                  + " from volumes where tenant = ? and name = ? and state <> 'REMOVING'")) {
        statement.setString(1, tenant);
        statement.setString(2, name);
        return readAll(statement).stream().findFirst();
      }
    });
  }

  /**
   * By name, of those that are whole.
   *
   * @param after the last name of the page before; empty: from the first
   */
  public List<Volume> page(String tenant, String after, int limit) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select "
                  + COLUMNS
                  + " from volumes where tenant = ? and state = 'READY'"
                  // By bytes, whatever the database's own order is.
                  + " and name collate \"C\" > ? order by name collate \"C\" limit ?")) {
        statement.setString(1, tenant);
        statement.setString(2, after);
        statement.setInt(3, limit);
        return readAll(statement);
      }
    });
  }

  /** How many the tenant has on each node; none where it has none. */
  public Map<String, Integer> perNode(String tenant) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select node, count(*) from volumes where tenant = ? and state <> 'REMOVING'"
                  + " group by node")) {
        statement.setString(1, tenant);
        Map<String, Integer> counts = new HashMap<>();
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            counts.put(rows.getString(1), rows.getInt(2));
          }
        }
        return counts;
      }
    });
  }

  /** Those that come or go: whoever drives them may be gone. */
  public List<Volume> unsettled() {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select " + COLUMNS + " from volumes where state <> 'READY' order by id")) {
        return readAll(statement);
      }
    });
  }

  /**
   * Gives a sandbox that is being stored its volumes. The tenant is locked. Empty when it has them,
   * else the first that it cannot have: it is gone, another has it, or it is being copied.
   */
  static Optional<VolumeUse> attach(Connection connection, Sandbox sandbox) throws SQLException {
    for (VolumeUse use : sandbox.volumes()) {
      try (PreparedStatement statement =
          connection.prepareStatement(
              """
              update volumes v set sandbox = ?
              where id = ? and tenant = ? and state = 'READY' and sandbox is null
                and not exists
                  (select 1 from volumes c where c.source_id = v.id and c.state = 'MAKING')
                and not exists (select 1 from volume_copies c where c.volume = v.id)
              """)) {
        statement.setString(1, sandbox.id());
        statement.setString(2, use.id());
        statement.setString(3, sandbox.tenant());
        if (statement.executeUpdate() != 1) {
          return Optional.of(use);
        }
      }
    }
    return Optional.empty();
  }

  /**
   * Keeps a volume from all sandboxes for as long as one starts whose disk begins as a copy of it.
   * The tenant is locked. False where that cannot be: it is gone, or a sandbox has it.
   */
  static boolean beginCopy(Connection connection, Sandbox sandbox, VolumeUse source)
      throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            insert into volume_copies (sandbox, volume)
            select ?, id from volumes
            where id = ? and tenant = ? and state = 'READY' and sandbox is null
            """)) {
      statement.setString(1, sandbox.id());
      statement.setString(2, source.id());
      statement.setString(3, sandbox.tenant());
      return statement.executeUpdate() == 1;
    }
  }

  /** The sandbox has been started, or never will be. */
  static void endCopy(Connection connection, Sandbox sandbox) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("delete from volume_copies where sandbox = ?")) {
      statement.setString(1, sandbox.id());
      statement.executeUpdate();
    }
  }

  /** Of a sandbox that has ended: nothing of it can write any more. */
  static void detach(Connection connection, Sandbox sandbox) throws SQLException {
    if (!sandbox.volumes().isEmpty()) {
      try (PreparedStatement statement =
          connection.prepareStatement("update volumes set sandbox = null where sandbox = ?")) {
        statement.setString(1, sandbox.id());
        statement.executeUpdate();
      }
    }
  }

  private boolean changed(String sql, String id) {
    return database.transact(connection -> {
      try (PreparedStatement statement = connection.prepareStatement(sql)) {
        statement.setString(1, id);
        return statement.executeUpdate() == 1;
      }
    });
  }

  private static Optional<Volume> find(Connection connection, String id) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("select " + COLUMNS + " from volumes where id = ?")) {
      statement.setString(1, id);
      return readAll(statement).stream().findFirst();
    }
  }

  private static int inUse(Connection connection, String tenant) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select count(*) from volumes where tenant = ? and state <> 'REMOVING'")) {
      statement.setString(1, tenant);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getInt(1);
      }
    }
  }

  private static boolean insert(Connection connection, Volume volume) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            insert into volumes (id, tenant, name, size_mib, node, source_id, source_name,
              template, template_offer, create_time, state, process, sandbox)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            on conflict (tenant, name) where state <> 'REMOVING' do nothing
            """)) {
      int index = 1;
      statement.setString(index++, volume.id());
      statement.setString(index++, volume.tenant());
      statement.setString(index++, volume.name());
      statement.setInt(index++, volume.sizeMib());
      statement.setString(index++, volume.node());
      statement.setString(index++, volume.source().map(Volume.Source::id).orElse(null));
      statement.setString(index++, volume.source().map(Volume.Source::name).orElse(null));
      statement.setString(index++, volume.base().map(Volume.Base::template).orElse(null));
      statement.setString(index++, volume.base().map(Volume.Base::offer).orElse(null));
      SandboxRows.setInstant(statement, index++, volume.createTime());
      setState(statement, index, volume.state());
      return statement.executeUpdate() == 1;
    }
  }

  /** Sets the state and the two columns that carry its facts, from {@code index} on. */
  private static void setState(PreparedStatement statement, int index, VolumeState state)
      throws SQLException {
    String name =
        switch (state) {
          case Making _ -> "MAKING";
          case Ready _ -> "READY";
          case Removing _ -> "REMOVING";
        };
    @Nullable UUID process = state instanceof Making making ? making.process() : null;
    statement.setString(index, name);
    statement.setObject(index + 1, process, Types.OTHER);
    statement.setString(
        index + 2, state instanceof Ready ready ? ready.sandbox().orElse(null) : null);
  }

  private static List<Volume> readAll(PreparedStatement statement) throws SQLException {
    List<Volume> volumes = new ArrayList<>();
    try (ResultSet rows = statement.executeQuery()) {
      while (rows.next()) {
        volumes.add(read(rows));
      }
    }
    return volumes;
  }

  private static Volume read(ResultSet row) throws SQLException {
    String state = row.getString("state");
    @Nullable String source = row.getString("source_id");
    @Nullable String template = row.getString("template");
    return new Volume(
        row.getString("id"),
        row.getString("tenant"),
        row.getString("name"),
        row.getInt("size_mib"),
        row.getString("node"),
        source == null
            ? Optional.empty()
            : Optional.of(new Volume.Source(source, row.getString("source_name"))),
        template == null
            ? Optional.empty()
            : Optional.of(new Volume.Base(template, row.getString("template_offer"))),
        SandboxRows.instant(row, "create_time"),
        switch (state) {
          case "MAKING" -> new Making(row.getObject("process", UUID.class));
          case "READY" -> new Ready(Optional.ofNullable(row.getString("sandbox")));
          case "REMOVING" -> new Removing();
          default ->
              throw new SQLException("state of " + row.getString("id") + " is " + state, "XX001");
        });
  }
}
