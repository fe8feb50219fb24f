package dev.cofferdam.scheduler.store;

import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.ExposedHost;
import dev.cofferdam.scheduler.tenant.PortKeyRecord;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Keys for ports by hash. Read afresh for every call, so that one that was removed is refused from
 * the next call on. Safe for use by several threads.
 */
public final class PortKeyStore {
  private static final String COLUMNS =
      "id, tenant, sandbox, port, public, create_time, expire_time, host";

  /** What came of {@link #create}. */
  public sealed interface Outcome {
    /** Stored, or there already for everybody. */
    record Created(PortKeyRecord key) implements Outcome {}

    /** Of the tenant there is no such sandbox, or it has ended. */
    record NoSandbox() implements Outcome {}

    /** The host stands for another port, which stays so. */
    record HostTaken(int port) implements Outcome {}

    record OverQuota() implements Outcome {}
  }

  private final Database database;
  private final InstantSource clock;

  public PortKeyStore(Database database, InstantSource clock) {
    this.database = database;
    this.clock = clock;
  }

  /**
   * @param most keys of one sandbox
   */
  public Outcome create(PortKeyRecord key, byte[] sha256, int most) {
    return database.transact(connection -> {
      // Whoever counts meanwhile waits; so does the sandbox's end.
      if (!lock(connection, key)) {
        return new Outcome.NoSandbox();
      }
      removeExpired(connection, key.sandbox());
      Optional<PortKeyRecord> there = find(connection, sha256);
      if (there.isPresent()) {
        return there.get().port() == key.port()
            ? new Outcome.Created(there.get())
            : new Outcome.HostTaken(there.get().port());
      }
      if (count(connection, key.sandbox()) >= most) {
        return new Outcome.OverQuota();
      }
      insert(connection, key, sha256);
      return new Outcome.Created(key);
    });
  }

  /** By id, of those that have not expired. */
  public List<PortKeyRecord> list(String tenant, String sandbox) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select "
                  + COLUMNS
                  + " from port_keys where tenant = ? and sandbox = ?"
                  + " and (expire_time is null or expire_time > ?) order by id")) {
        statement.setString(1, tenant);
        statement.setString(2, sandbox);
        SandboxRows.setInstant(statement, 3, clock.instant());
        return readAll(statement);
      }
    });
  }

  /** Removing one that is not there succeeds. */
  public void remove(String tenant, String id) {
    database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("delete from port_keys where tenant = ? and id = ?")) {
        statement.setString(1, tenant);
        statement.setString(2, id);
        return statement.executeUpdate();
      }
    });
  }

  /** Empty for a key that has expired, or is none, and for a host's whose sandbox has ended. */
  Optional<Caller.PortKey> caller(byte[] sha256) {
    return database
        .read(connection -> find(connection, sha256))
        .map(key -> new Caller.PortKey(key.tenant(), key.sandbox(), key.port(), key.id()));
  }

  /** One that has not expired. */
  public Optional<PortKeyRecord> find(String tenant, String id) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select " + COLUMNS + " from port_keys where tenant = ? and id = ?")) {
        statement.setString(1, tenant);
        statement.setString(2, id);
        return readAll(statement).stream().filter(this::inForce).findFirst();
      }
    });
  }

  private boolean inForce(PortKeyRecord key) {
    return key.expireTime().isEmpty() || key.expireTime().get().isAfter(clock.instant());
  }

  private Optional<PortKeyRecord> find(Connection connection, byte[] sha256) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select "
                + COLUMNS
                + " from port_keys k where sha256 = ? and (host is null or exists (select 1"
                + " from sandboxes s where s.id = k.sandbox"
                + " and s.state not in ('STOPPING', 'ENDED')))")) {
      statement.setBytes(1, sha256);
      return readAll(statement).stream().filter(this::inForce).findFirst();
    }
  }

  private static boolean lock(Connection connection, PortKeyRecord key) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select 1 from sandboxes where tenant = ? and id = ?"
                + " and state not in ('STOPPING', 'ENDED') for update")) {
      statement.setString(1, key.tenant());
      statement.setString(2, key.sandbox());
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next();
      }
    }
  }

  private void removeExpired(Connection connection, String sandbox) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "delete from port_keys where sandbox = ? and expire_time <= ?")) {
      statement.setString(1, sandbox);
      SandboxRows.setInstant(statement, 2, clock.instant());
      statement.executeUpdate();
    }
  }

  private static int count(Connection connection, String sandbox) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("select count(*) from port_keys where sandbox = ?")) {
      statement.setString(1, sandbox);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getInt(1);
      }
    }
  }

  private static void insert(Connection connection, PortKeyRecord key, byte[] sha256)
      throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "insert into port_keys (" + COLUMNS + ", sha256) values (?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
      statement.setString(1, key.id());
      statement.setString(2, key.tenant());
      statement.setString(3, key.sandbox());
      statement.setInt(4, key.port());
      statement.setBoolean(5, key.everybodys());
      SandboxRows.setInstant(statement, 6, key.createTime());
      SandboxRows.setInstant(statement, 7, key.expireTime().orElse(null));
      statement.setString(8, key.host().map(ExposedHost::label).orElse(null));
      statement.setBytes(9, sha256);
      statement.executeUpdate();
    }
  }

  private static List<PortKeyRecord> readAll(PreparedStatement statement) throws SQLException {
    List<PortKeyRecord> keys = new ArrayList<>();
    try (ResultSet rows = statement.executeQuery()) {
      while (rows.next()) {
        keys.add(
            new PortKeyRecord(
                rows.getString("id"),
                rows.getString("tenant"),
                rows.getString("sandbox"),
                rows.getInt("port"),
                rows.getBoolean("public"),
                SandboxRows.instant(rows, "create_time"),
                SandboxRows.optionalInstant(rows, "expire_time"),
                Optional.ofNullable(rows.getString("host")).map(ExposedHost::new)));
      }
    }
    return keys;
  }
}
