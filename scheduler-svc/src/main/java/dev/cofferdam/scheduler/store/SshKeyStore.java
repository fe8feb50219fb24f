package dev.cofferdam.scheduler.store;

import com.google.protobuf.ByteString;
import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.scheduler.tenant.SshKeyRecord;
import dev.cofferdam.scheduler.tenant.SshPublicKey;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;

/**
 * Keys for SSH and the sessions that they opened. Read afresh for every call, so that what was
 * removed is refused from the next call on. Safe for use by several threads.
 */
public final class SshKeyStore {
  private static final String SELECT =
      """
      select k.tenant, k.name, k.token, k.public_key, k.create_time,
        (select max(s.create_time) from ssh_sessions s where s.key = k.id) as last_use
      from ssh_keys k where k.tenant = ?
      """;

  /** What came of {@link #create}. */
  public sealed interface Outcome {
    /** Stored, or there already. */
    record Created(SshKeyRecord key) implements Outcome {}

    /** The name stands for another key, or the key is there under another. */
    record Taken(SshKeyRecord by) implements Outcome {}

    record OverQuota() implements Outcome {}

    /** The token was removed just before. */
    record NoToken() implements Outcome {}
  }

  private final Database database;
  private final InstantSource clock;

  public SshKeyStore(Database database, InstantSource clock) {
    this.database = database;
    this.clock = clock;
  }

  /**
   * @param most keys of one tenant
   */
  public Outcome create(SshKeyRecord key, int most) {
    return database.transact(connection -> {
      EventStore.lock(connection, key.tenant());
      List<SshKeyRecord> there = list(connection, key.tenant());
      for (SshKeyRecord other : there) {
        boolean named = other.name().equals(key.name());
        boolean same = other.key().equals(key.key());
        if (named && same) {
          return new Outcome.Created(other);
        }
        if (named || same) {
          return new Outcome.Taken(other);
        }
      }
      if (there.size() >= most) {
        return new Outcome.OverQuota();
      }
      try (PreparedStatement statement =
          connection.prepareStatement(
              """
              insert into ssh_keys (tenant, name, token, public_key, create_time)
              select ?, ?, id, ?, ? from tokens where id = ? for key share
              """)) {
        statement.setString(1, key.tenant());
        statement.setString(2, key.name());
        statement.setBytes(3, key.key().bytes().toByteArray());
        SandboxRows.setInstant(statement, 4, key.createTime());
        statement.setString(5, key.token());
        return statement.executeUpdate() == 1 ? new Outcome.Created(key) : new Outcome.NoToken();
      }
    });
  }

  /** By name. */
  public List<SshKeyRecord> list(String tenant) {
    return database.read(connection -> list(connection, tenant));
  }

  /** Removing one that is not there succeeds. */
  public void remove(String tenant, String name) {
    database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("delete from ssh_keys where tenant = ? and name = ?")) {
        statement.setString(1, tenant);
        statement.setString(2, name);
        return statement.executeUpdate();
      }
    });
  }

  /**
   * Opens a session with a sandbox whose tenant has the key, by a token that may execute. Whether
   * the key signed is the caller's to know.
   *
   * @param signed a hash of what was signed; one that opened a session opens no other
   * @param sha256 of the session's credential
   * @param lasts how long it may start anything
   * @return name of the key; empty where it opens nothing
   */
  public Optional<String> open(
      SshPublicKey key, String sandbox, byte[] signed, byte[] sha256, Duration lasts) {
    Instant now = clock.instant();
    return database.transact(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              """
              insert into ssh_sessions
                (sha256, signed, tenant, key, sandbox, create_time, expire_time)
              select ?, ?, k.tenant, k.id, s.id, ?, ?
              from sandboxes s
              join ssh_keys k on k.tenant = s.tenant and k.public_key = ?
              join tokens t on t.id = k.token and t.tenant = k.tenant and 'exec' = any (t.scopes)
              where s.id = ? and s.state not in ('STOPPING', 'ENDED')
              on conflict do nothing
              returning (select name from ssh_keys where id = key)
              """)) {
        statement.setBytes(1, sha256);
        statement.setBytes(2, signed);
        SandboxRows.setInstant(statement, 3, now);
        SandboxRows.setInstant(statement, 4, now.plus(lasts));
        statement.setBytes(5, key.bytes().toByteArray());
        statement.setString(6, sandbox);
        try (ResultSet rows = statement.executeQuery()) {
          return rows.next() ? Optional.of(rows.getString(1)) : Optional.empty();
        }
      }
    });
  }

  /** The row stays: the signature opens nothing more. */
  public void close(byte[] sha256) {
    database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("update ssh_sessions set closed = true where sha256 = ?")) {
        statement.setBytes(1, sha256);
        return statement.executeUpdate();
      }
    });
  }

  /** Empty for a session that is over, or is none. */
  Optional<Caller.SshSession> caller(byte[] sha256) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              """
              select s.tenant, s.sandbox, k.name, t.scopes
              from ssh_sessions s
              join ssh_keys k on k.id = s.key
              join tokens t on t.id = k.token
              where s.sha256 = ? and not s.closed and s.expire_time > ?
              """)) {
        statement.setBytes(1, sha256);
        SandboxRows.setInstant(statement, 2, clock.instant());
        try (ResultSet rows = statement.executeQuery()) {
          return rows.next()
              ? Optional.of(
                  new Caller.SshSession(
                      rows.getString("tenant"),
                      rows.getString("sandbox"),
                      new HashSet<>(SandboxRows.texts(rows, "scopes")),
                      rows.getString("name")))
              : Optional.empty();
        }
      }
    });
  }

  private static List<SshKeyRecord> list(Connection connection, String tenant) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(SELECT + " order by k.name collate \"C\"")) {
      statement.setString(1, tenant);
      List<SshKeyRecord> keys = new ArrayList<>();
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          keys.add(
              new SshKeyRecord(
                  rows.getString("tenant"),
                  rows.getString("name"),
                  rows.getString("token"),
                  new SshPublicKey(ByteString.copyFrom(rows.getBytes("public_key"))),
                  SandboxRows.instant(rows, "create_time"),
                  SandboxRows.optionalInstant(rows, "last_use")));
        }
      }
      return keys;
    }
  }
}
