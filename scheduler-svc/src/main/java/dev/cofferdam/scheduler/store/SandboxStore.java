package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.sandbox.SecretUse;
import dev.cofferdam.scheduler.sandbox.Transition;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The records of sandboxes. A change is stored only if the record is still at the version that the
 * change was made from, together with its event. Safe for use by several threads; every method may
 * throw the Refusal of {@link Database}.
 */
public final class SandboxStore {
  /** How long a request id is remembered. */
  public static final Duration REQUEST_MEMORY = Duration.ofHours(24);

  /**
   * What makes a create idempotent.
   *
   * @param fingerprint SHA-256 of the request without its id
   */
  public record RequestKey(String id, Fingerprint fingerprint) {}

  /** What came of {@link #create}. */
  public sealed interface CreateOutcome {
    record Created() implements CreateOutcome {}

    /** The request id is in use; nothing was stored. */
    record Duplicate(KnownRequest known) implements CreateOutcome {}

    /** Nothing was stored. */
    record OverQuota(int inUse) implements CreateOutcome {}
  }

  /** A create that was taken before. */
  public record KnownRequest(Fingerprint fingerprint, String sandbox) {}

  /**
   * Where a page ends.
   *
   * @param createTime of its last sandbox
   */
  public record Position(Instant createTime, String id) {}

  private final Database database;
  private final EventStore events;

  public SandboxStore(Database database, EventStore events) {
    this.database = database;
    this.events = events;
  }

  /**
   * Stores the record of a create that begins, its event and its request id, unless the tenant has
   * {@code quota} sandboxes that start or run.
   */
  public CreateOutcome create(Sandbox sandbox, Optional<RequestKey> request, int quota) {
    CreateOutcome outcome =
        database.transact(connection -> {
          EventStore.lock(connection, sandbox.tenant());
          if (request.isPresent()) {
            Optional<KnownRequest> known = remember(connection, sandbox, request.get());
            if (known.isPresent()) {
              return new CreateOutcome.Duplicate(known.get());
            }
          }
          int inUse = inUse(connection, sandbox.tenant());
          if (inUse >= quota) {
            connection.rollback();
            return new CreateOutcome.OverQuota(inUse);
          }
          insert(connection, sandbox);
          EventStore.insert(connection, sandbox, sandbox.createdEvent());
          return new CreateOutcome.Created();
        });
    if (outcome instanceof CreateOutcome.Created) {
      events.announce(sandbox.tenant());
    }
    return outcome;
  }

  /** False when the record is no longer what the transition was made from; nothing was stored. */
  public boolean apply(Transition transition) {
    Sandbox after = transition.after();
    boolean stored =
        database.transact(connection -> {
          if (transition.event().isPresent()) {
            EventStore.lock(connection, after.tenant());
          }
          if (!update(connection, transition)) {
            return false;
          }
          if (after.state() instanceof Stopping stopping
              && (stopping.cause() == EndCause.START_FAILED
                  || transition.before().state() instanceof Starting)) {
            // Whatever ended it, its create failed and may be tried again under its id.
            forget(connection, after.id());
          }
          if (transition.event().isPresent()) {
            EventStore.insert(connection, after, transition.event().get());
          }
          return true;
        });
    if (stored && transition.event().isPresent()) {
      events.announce(after.tenant());
    }
    return stored;
  }

  /** Empty also for what cannot be an id. */
  public Optional<Sandbox> find(String id) {
    if (!Sandbox.isId(id)) {
      return Optional.empty();
    }
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select " + SandboxRows.COLUMNS + " from sandboxes where id = ?")) {
        statement.setString(1, id);
        return SandboxRows.readOne(statement);
      }
    });
  }

  /** Empty also for another tenant's. */
  public Optional<Sandbox> find(String tenant, String id) {
    return find(id).filter(sandbox -> sandbox.tenant().equals(tenant));
  }

  public Optional<KnownRequest> findRequest(String tenant, String requestId, Instant now) {
    return database.read(connection -> findRequest(connection, tenant, requestId, now));
  }

  /** Newest first. */
  public List<Sandbox> page(
      String tenant,
      Map<String, String> labels,
      boolean withEnded,
      Optional<Position> after,
      int limit) {
    return database.read(connection -> {
      String sql =
          "select "
              + SandboxRows.COLUMNS
              + " from sandboxes where tenant = ?"
              + (labels.isEmpty() ? "" : " and labels @> jsonb_object(?, ?)")
              + (withEnded ? "" : " and state <> 'ENDED'")
              + (after.isEmpty() ? "" : " and (create_time, id) < (?, ?)")
              + " order by create_time desc, id desc limit ?";
      try (PreparedStatement statement = connection.prepareStatement(sql)) {
        int index = 1;
        statement.setString(index++, tenant);
        if (!labels.isEmpty()) {
          index = setLabels(connection, statement, index, labels);
        }
        if (after.isPresent()) {
          SandboxRows.setInstant(statement, index++, after.get().createTime());
          statement.setString(index++, after.get().id());
        }
        statement.setInt(index, limit);
        return SandboxRows.readAll(statement);
      }
    });
  }

  /** Running ones whose end has come. */
  public List<Sandbox> due(Instant now, int limit) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select "
                  + SandboxRows.COLUMNS
                  + " from sandboxes where state = 'RUNNING' and expire_time <= ?"
                  + " order by expire_time limit ?")) {
        SandboxRows.setInstant(statement, 1, now);
        statement.setInt(2, limit);
        return SandboxRows.readAll(statement);
      }
    });
  }

  /** Those that start or stop: whoever drives them may be gone. */
  public List<Sandbox> unsettled() {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select "
                  + SandboxRows.COLUMNS
                  + " from sandboxes where state in ('STARTING', 'STOPPING') order by id")) {
        return SandboxRows.readAll(statement);
      }
    });
  }

  /** All that have not ended. */
  public List<Sandbox> live() {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select " + SandboxRows.COLUMNS + " from sandboxes where state <> 'ENDED'")) {
        return SandboxRows.readAll(statement);
      }
    });
  }

  /** Those of a node that have not ended, and the named ones wherever and however they are. */
  public List<Sandbox> ofNode(String node, Collection<String> named) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select "
                  + SandboxRows.COLUMNS
                  + " from sandboxes where (node = ? and state <> 'ENDED') or id = any(?)")) {
        statement.setString(1, node);
        statement.setArray(2, SandboxRows.texts(connection, List.copyOf(named)));
        return SandboxRows.readAll(statement);
      }
    });
  }

  /** Forgets sandboxes that ended before {@code ended} and request ids older than a day. */
  public int prune(Instant ended, Instant now) {
    return database.transact(connection -> {
      int rows = 0;
      try (PreparedStatement statement =
          connection.prepareStatement("delete from sandboxes where end_time < ?")) {
        SandboxRows.setInstant(statement, 1, ended);
        rows += statement.executeUpdate();
      }
      try (PreparedStatement statement =
          connection.prepareStatement("delete from create_requests where create_time < ?")) {
        SandboxRows.setInstant(statement, 1, now.minus(REQUEST_MEMORY));
        rows += statement.executeUpdate();
      }
      return rows;
    });
  }

  /** Empty when the id is now this create's; otherwise whose it is. The tenant is locked. */
  private static Optional<KnownRequest> remember(
      Connection connection, Sandbox sandbox, RequestKey request) throws SQLException {
    Optional<KnownRequest> known =
        findRequest(connection, sandbox.tenant(), request.id(), sandbox.createTime());
    if (known.isPresent()) {
      return known;
    }
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            insert into create_requests (tenant, request_id, fingerprint, sandbox, create_time)
            values (?, ?, ?, ?, ?)
            on conflict (tenant, request_id) do update
            set fingerprint = excluded.fingerprint, sandbox = excluded.sandbox,
                create_time = excluded.create_time
            """)) {
      statement.setString(1, sandbox.tenant());
      statement.setString(2, request.id());
      statement.setBytes(3, request.fingerprint().bytes());
      statement.setString(4, sandbox.id());
      SandboxRows.setInstant(statement, 5, sandbox.createTime());
      statement.executeUpdate();
      return Optional.empty();
    }
  }

  private static Optional<KnownRequest> findRequest(
      Connection connection, String tenant, String requestId, Instant now) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            select fingerprint, sandbox from create_requests
            where tenant = ? and request_id = ? and create_time > ?
            """)) {
      statement.setString(1, tenant);
      statement.setString(2, requestId);
      SandboxRows.setInstant(statement, 3, now.minus(REQUEST_MEMORY));
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next()
            ? Optional.of(
                new KnownRequest(
                    Fingerprint.of(rows.getBytes("fingerprint")), rows.getString("sandbox")))
            : Optional.empty();
      }
    }
  }

  private static void forget(Connection connection, String sandbox) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("delete from create_requests where sandbox = ?")) {
      statement.setString(1, sandbox);
      statement.executeUpdate();
    }
  }

  private static int inUse(Connection connection, String tenant) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select count(*) from sandboxes where tenant = ? and state in ('STARTING',"
                + " 'RUNNING')")) {
      statement.setString(1, tenant);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getInt(1);
      }
    }
  }

  private static void insert(Connection connection, Sandbox sandbox) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            insert into sandboxes (id, tenant, template, vcpus, memory_mib, disk_mib, labels,
              create_time, expire_time, node, epoch, version, policy, policy_revision,
              secret_names, secret_envs, isolation,
              state, process, running_time, end_cause, end_message, end_time)
            values (?, ?, ?, ?, ?, ?, jsonb_object(?, ?),
              ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)) {
      int index = 1;
      statement.setString(index++, sandbox.id());
      statement.setString(index++, sandbox.tenant());
      statement.setString(index++, sandbox.template());
      statement.setInt(index++, sandbox.size().vcpus());
      statement.setInt(index++, sandbox.size().memoryMib());
      statement.setInt(index++, sandbox.size().diskMib());
      index = setLabels(connection, statement, index, sandbox.labels());
      SandboxRows.setInstant(statement, index++, sandbox.createTime());
      SandboxRows.setInstant(statement, index++, sandbox.expireTime().orElse(null));
      statement.setString(index++, sandbox.node());
      statement.setLong(index++, sandbox.epoch());
      statement.setLong(index++, sandbox.version());
      statement.setBytes(index++, sandbox.policy().toByteArray());
      statement.setLong(index++, sandbox.policyRevision());
      List<String> names = sandbox.secrets().stream().map(SecretUse::secret).toList();
      List<String> envs = sandbox.secrets().stream().map(SecretUse::env).toList();
      statement.setArray(index++, SandboxRows.texts(connection, names));
      statement.setArray(index++, SandboxRows.texts(connection, envs));
      statement.setString(index++, sandbox.isolation().wireName());
      SandboxRows.setState(statement, index, sandbox.state());
      statement.executeUpdate();
    }
  }

  private static boolean update(Connection connection, Transition transition) throws SQLException {
    Sandbox after = transition.after();
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            update sandboxes set expire_time = ?, node = ?, epoch = ?, version = ?, policy = ?,
              policy_revision = ?, isolation = ?, state = ?, process = ?, running_time = ?,
              end_cause = ?, end_message = ?, end_time = ?
            where id = ? and version = ?
            """)) {
      int index = 1;
      SandboxRows.setInstant(statement, index++, after.expireTime().orElse(null));
      statement.setString(index++, after.node());
      statement.setLong(index++, after.epoch());
      statement.setLong(index++, after.version());
      statement.setBytes(index++, after.policy().toByteArray());
      statement.setLong(index++, after.policyRevision());
      statement.setString(index++, after.isolation().wireName());
      SandboxRows.setState(statement, index, after.state());
      index += 6;
      statement.setString(index++, after.id());
      statement.setLong(index, transition.before().version());
      return statement.executeUpdate() == 1;
    }
  }

  private static int setLabels(
      Connection connection, PreparedStatement statement, int index, Map<String, String> labels)
      throws SQLException {
    List<String> keys = new ArrayList<>();
    List<String> values = new ArrayList<>();
    labels.forEach((key, value) -> {
      keys.add(key);
      values.add(value);
    });
    statement.setArray(index, SandboxRows.texts(connection, keys));
    statement.setArray(index + 1, SandboxRows.texts(connection, values));
    return index + 2;
  }
}
