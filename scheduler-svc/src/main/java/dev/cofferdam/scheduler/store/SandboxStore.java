package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Origin;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.sandbox.SecretUse;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.store.RequestStore.KnownRequest;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.v1.StartReport;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The records of sandboxes. A change is stored only if the record is still at the version that the
 * change was made from, together with its event. Safe for use by several threads; every method may
 * throw the Refusal of {@link Database}.
 */
public final class SandboxStore {
  private final Database database;
  private final EventStore events;

  public SandboxStore(Database database, EventStore events) {
    this.database = database;
    this.events = events;
  }

  /**
   * Stores the records of a create that begins, their events and its request id, unless the tenant
   * would have more than {@code quota} sandboxes that have not begun to stop. From then on they
   * have their volumes. All or nothing.
   *
   * @param sandboxes of one tenant, begun at one time; at least one
   */
  public CreateOutcome create(List<Sandbox> sandboxes, Optional<RequestKey> request, int quota) {
    return create(sandboxes, request, quota, Optional.empty());
  }

  /**
   * As above.
   *
   * @param source volume that the disk of the only sandbox begins as a copy of
   */
  public CreateOutcome create(
      List<Sandbox> sandboxes,
      Optional<RequestKey> request,
      int quota,
      Optional<VolumeUse> source) {
    String tenant = sandboxes.getFirst().tenant();
    CreateOutcome outcome =
        database.transact(connection -> {
          EventStore.lock(connection, tenant);
          if (request.isPresent()) {
            Optional<KnownRequest> known =
                RequestStore.remember(
                    connection,
                    tenant,
                    request.get(),
                    sandboxes.stream().map(Sandbox::id).toList(),
                    sandboxes.getFirst().createTime());
            if (known.isPresent()) {
              return new CreateOutcome.Duplicate(known.get());
            }
          }
          int inUse = inUse(connection, tenant);
          if (inUse + sandboxes.size() > quota) {
            connection.rollback();
            return new CreateOutcome.OverQuota(inUse);
          }
          for (Sandbox sandbox : sandboxes) {
            Optional<VolumeUse> taken = VolumeStore.attach(connection, sandbox);
            if (taken.isPresent()) {
              connection.rollback();
              return new CreateOutcome.VolumeTaken(taken.get());
            }
            if (source.isPresent() && !VolumeStore.beginCopy(connection, sandbox, source.get())) {
              connection.rollback();
              return new CreateOutcome.VolumeTaken(source.get());
            }
            insert(connection, sandbox);
            EventStore.insert(connection, sandbox, sandbox.createdEvent());
          }
          return new CreateOutcome.Created();
        });
    if (outcome instanceof CreateOutcome.Created) {
      events.announce(tenant);
    }
    return outcome;
  }

  /** False when the record is no longer what the transition was made from; nothing was stored. */
  public boolean apply(Transition transition) {
    return applyAll(List.of(transition));
  }

  /**
   * All or nothing: false when one of the records is no longer what its transition was made from.
   *
   * @param transitions of sandboxes of one tenant, each of another one; at least one
   */
  public boolean applyAll(List<Transition> transitions) {
    String tenant = transitions.getFirst().after().tenant();
    boolean told = transitions.stream().anyMatch(transition -> transition.event().isPresent());
    boolean stored =
        database.transact(connection -> {
          if (told) {
            EventStore.lock(connection, tenant);
          }
          for (Transition transition : transitions) {
            if (!store(connection, transition)) {
              connection.rollback();
              return false;
            }
          }
          return true;
        });
    if (stored && told) {
      events.announce(tenant);
    }
    return stored;
  }

  private static boolean store(Connection connection, Transition transition) throws SQLException {
    Sandbox after = transition.after();
    if (!update(connection, transition)) {
      return false;
    }
    if (after.state() instanceof Stopping stopping
        && (stopping.cause() == EndCause.START_FAILED
            || transition.before().state() instanceof Starting)) {
      // Whatever ended it, its create failed and may be tried again under its id.
      RequestStore.forget(connection, after.id());
    }
    if (after.state() instanceof Ended) {
      VolumeStore.detach(connection, after);
    }
    if (after.state() instanceof Ended
        || (after.state() instanceof Live && transition.before().state() instanceof Starting)) {
      VolumeStore.endCopy(connection, after);
    }
    if (transition.event().isPresent()) {
      EventStore.insert(connection, after, transition.event().get());
    }
    return true;
  }

  /** Empty also for what cannot be an id. */
  public Optional<Sandbox> find(String id) {
    if (!Sandbox.isId(id)) {
      return Optional.empty();
    }
    return database.read(connection -> find(connection, id));
  }

  static Optional<Sandbox> find(Connection connection, String id) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select " + SandboxRows.COLUMNS + " from sandboxes where id = ?")) {
      statement.setString(1, id);
      return SandboxRows.readOne(statement);
    }
  }

  /** Empty also for another tenant's. */
  public Optional<Sandbox> find(String tenant, String id) {
    return find(id).filter(sandbox -> sandbox.tenant().equals(tenant));
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
          index = Labels.set(connection, statement, index, labels);
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

  /** Live ones whose end has come. */
  public List<Sandbox> due(Instant now, int limit) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select "
                  + SandboxRows.COLUMNS
                  + " from sandboxes where state in ('RUNNING', 'PAUSED', 'SUSPENDED')"
                  + " and expire_time <= ?"
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

  /** Forgets sandboxes that ended before a time. */
  public int prune(Instant ended) {
    return database.transact(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("delete from sandboxes where end_time < ?")) {
        SandboxRows.setInstant(statement, 1, ended);
        return statement.executeUpdate();
      }
    });
  }

  private static int inUse(Connection connection, String tenant) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select count(*) from sandboxes where tenant = ? and state in ('STARTING',"
                + " 'RUNNING', 'PAUSED', 'SUSPENDED')")) {
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
              create_time, expire_time, timeout_action, idle_timeout_ms,
              origin_sandbox, origin_generation, origin_snapshot,
              node, epoch, version, policy, policy_revision, generation,
              secret_names, secret_envs, volume_directories, volume_names, volume_ids,
              isolation, start_report,
              state, process, state_time, state_change, end_cause, end_message, end_time)
            values (?, ?, ?, ?, ?, ?, jsonb_object(?, ?),
              ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)) {
      int index = 1;
      statement.setString(index++, sandbox.id());
      statement.setString(index++, sandbox.tenant());
      statement.setString(index++, sandbox.template());
      statement.setInt(index++, sandbox.size().vcpus());
      statement.setInt(index++, sandbox.size().memoryMib());
      statement.setInt(index++, sandbox.size().diskMib());
      index = Labels.set(connection, statement, index, sandbox.labels());
      SandboxRows.setInstant(statement, index++, sandbox.createTime());
      SandboxRows.setInstant(statement, index++, sandbox.lifetime().expireTime().orElse(null));
      statement.setString(index++, sandbox.lifetime().action().name());
      statement.setObject(
          index++,
          sandbox.lifetime().idleTimeout().map(Duration::toMillis).orElse(null),
          Types.BIGINT);
      index = setOrigin(statement, index, sandbox.origin());
      statement.setString(index++, sandbox.node());
      statement.setLong(index++, sandbox.epoch());
      statement.setLong(index++, sandbox.version());
      statement.setBytes(index++, sandbox.policy().toByteArray());
      statement.setLong(index++, sandbox.policyRevision());
      statement.setLong(index++, sandbox.generation());
      List<String> names = sandbox.secrets().stream().map(SecretUse::secret).toList();
      List<String> envs = sandbox.secrets().stream().map(SecretUse::env).toList();
      statement.setArray(index++, SandboxRows.texts(connection, names));
      statement.setArray(index++, SandboxRows.texts(connection, envs));
      for (Function<VolumeUse, String> column :
          List.<Function<VolumeUse, String>>of(
              VolumeUse::directory, VolumeUse::name, VolumeUse::id)) {
        List<String> values = sandbox.volumes().stream().map(column).toList();
        statement.setArray(index++, SandboxRows.texts(connection, values));
      }
      statement.setString(index++, sandbox.isolation().wireName());
      statement.setBytes(index++, startReport(sandbox));
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
              policy_revision = ?, generation = ?, isolation = ?, start_report = ?, state = ?,
              process = ?, state_time = ?, state_change = ?,
              end_cause = ?, end_message = ?, end_time = ?
            where id = ? and version = ?
            """)) {
      int index = 1;
      SandboxRows.setInstant(statement, index++, after.lifetime().expireTime().orElse(null));
      statement.setString(index++, after.node());
      statement.setLong(index++, after.epoch());
      statement.setLong(index++, after.version());
      statement.setBytes(index++, after.policy().toByteArray());
      statement.setLong(index++, after.policyRevision());
      statement.setLong(index++, after.generation());
      statement.setString(index++, after.isolation().wireName());
      statement.setBytes(index++, startReport(after));
      SandboxRows.setState(statement, index, after.state());
      index += 7;
      statement.setString(index++, after.id());
      statement.setLong(index, transition.before().version());
      return statement.executeUpdate() == 1;
    }
  }

  private static byte @Nullable [] startReport(Sandbox sandbox) {
    return sandbox.start().map(StartReport::toByteArray).orElse(null);
  }

  private static int setOrigin(PreparedStatement statement, int index, Optional<Origin> origin)
      throws SQLException {
    statement.setString(index, origin.map(Origin::sandbox).orElse(null));
    statement.setObject(index + 1, origin.map(Origin::generation).orElse(null), Types.BIGINT);
    statement.setString(index + 2, origin.flatMap(Origin::snapshot).orElse(null));
    return index + 3;
  }
}
