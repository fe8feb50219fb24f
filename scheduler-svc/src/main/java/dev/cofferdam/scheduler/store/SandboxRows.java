package dev.cofferdam.scheduler.store;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.scheduler.sandbox.Activity;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.Lifetime;
import dev.cofferdam.scheduler.sandbox.Origin;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.SandboxState;
import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.sandbox.SecretUse;
import dev.cofferdam.scheduler.sandbox.TimeoutAction;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.StartReport;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Rows of {@code sandboxes} as records, and back. */
final class SandboxRows {
  static final String COLUMNS =
      """
      id, tenant, template, vcpus, memory_mib, disk_mib,
      create_time, expire_time, timeout_action, idle_timeout_ms,
      origin_sandbox, origin_generation, origin_snapshot,
      node, epoch, version, policy, policy_revision, generation,
      secret_names, secret_envs, volume_directories, volume_names, volume_ids, isolation, start_report, state, process, state_time, state_change,
      end_cause, end_message, end_time,
      """
          + Labels.COLUMNS;

  private SandboxRows() {}

  static Sandbox read(ResultSet row) throws SQLException {
    return new Sandbox(
        row.getString("id"),
        row.getString("tenant"),
        row.getString("template"),
        new SandboxSize(row.getInt("vcpus"), row.getInt("memory_mib"), row.getInt("disk_mib")),
        Labels.read(row),
        instant(row, "create_time"),
        lifetime(row),
        origin(row),
        row.getString("node"),
        row.getLong("epoch"),
        row.getLong("version"),
        policy(row),
        row.getLong("policy_revision"),
        row.getLong("generation"),
        secrets(row),
        volumes(row),
        Isolation.parse(row.getString("isolation")),
        startReport(row),
        state(row));
  }

  static List<Sandbox> readAll(PreparedStatement statement) throws SQLException {
    List<Sandbox> sandboxes = new ArrayList<>();
    try (ResultSet rows = statement.executeQuery()) {
      while (rows.next()) {
        sandboxes.add(read(rows));
      }
    }
    return sandboxes;
  }

  static Optional<Sandbox> readOne(PreparedStatement statement) throws SQLException {
    try (ResultSet rows = statement.executeQuery()) {
      return rows.next() ? Optional.of(read(rows)) : Optional.empty();
    }
  }

  /** Sets the six columns that carry a state's own facts, and the state, from {@code index} on. */
  static void setState(PreparedStatement statement, int index, SandboxState state)
      throws SQLException {
    @Nullable UUID process = null;
    @Nullable Instant since = null;
    long change = 0;
    @Nullable EndCause cause = null;
    @Nullable String message = null;
    @Nullable Instant end = null;
    String name;
    switch (state) {
      case Starting starting -> {
        name = "STARTING";
        process = starting.process();
      }
      case Live live -> {
        name = live.activity().name();
        since = live.since();
        change = live.change();
      }
      case Stopping stopping -> {
        name = "STOPPING";
        cause = stopping.cause();
        message = stopping.message();
      }
      case Ended ended -> {
        name = "ENDED";
        cause = ended.cause();
        message = ended.message();
        end = ended.at();
      }
    }
    statement.setString(index, name);
    statement.setObject(index + 1, process, Types.OTHER);
    setInstant(statement, index + 2, since);
    statement.setLong(index + 3, change);
    statement.setString(index + 4, cause == null ? null : cause.name());
    statement.setString(index + 5, message);
    setInstant(statement, index + 6, end);
  }

  static void setInstant(PreparedStatement statement, int index, @Nullable Instant instant)
      throws SQLException {
    if (instant == null) {
      statement.setNull(index, Types.TIMESTAMP_WITH_TIMEZONE);
    } else {
      statement.setObject(index, instant.atOffset(ZoneOffset.UTC));
    }
  }

  static Array texts(Connection connection, List<String> values) throws SQLException {
    return connection.createArrayOf("text", values.toArray());
  }

  static List<String> texts(ResultSet row, String column) throws SQLException {
    return List.of((String[]) row.getArray(column).getArray());
  }

  static Instant instant(ResultSet row, String column) throws SQLException {
    return row.getObject(column, OffsetDateTime.class).toInstant();
  }

  static Optional<Instant> optionalInstant(ResultSet row, String column) throws SQLException {
    return Optional.ofNullable(row.getObject(column, OffsetDateTime.class))
        .map(OffsetDateTime::toInstant);
  }

  private static Lifetime lifetime(ResultSet row) throws SQLException {
    long idle = row.getLong("idle_timeout_ms");
    return new Lifetime(
        optionalInstant(row, "expire_time"),
        TimeoutAction.valueOf(row.getString("timeout_action")),
        idle == 0 ? Optional.empty() : Optional.of(Duration.ofMillis(idle)));
  }

  private static Optional<Origin> origin(ResultSet row) throws SQLException {
    @Nullable String sandbox = row.getString("origin_sandbox");
    return sandbox == null
        ? Optional.empty()
        : Optional.of(
            new Origin(
                sandbox,
                row.getLong("origin_generation"),
                Optional.ofNullable(row.getString("origin_snapshot"))));
  }

  private static Optional<StartReport> startReport(ResultSet row) throws SQLException {
    byte @Nullable [] report = row.getBytes("start_report");
    try {
      return report == null ? Optional.empty() : Optional.of(StartReport.parseFrom(report));
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException(
          "the start report of " + row.getString("id") + " cannot be read", "XX001", e);
    }
  }

  private static List<SecretUse> secrets(ResultSet row) throws SQLException {
    List<String> names = texts(row, "secret_names");
    List<String> envs = texts(row, "secret_envs");
    List<SecretUse> secrets = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      secrets.add(new SecretUse(names.get(i), envs.get(i)));
    }
    return secrets;
  }

  private static List<VolumeUse> volumes(ResultSet row) throws SQLException {
    List<String> directories = texts(row, "volume_directories");
    List<String> names = texts(row, "volume_names");
    List<String> ids = texts(row, "volume_ids");
    List<VolumeUse> volumes = new ArrayList<>();
    for (int i = 0; i < ids.size(); i++) {
      volumes.add(new VolumeUse(directories.get(i), names.get(i), ids.get(i)));
    }
    return volumes;
  }

  private static EgressPolicy policy(ResultSet row) throws SQLException {
    try {
      return EgressPolicy.parseFrom(row.getBytes("policy"));
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException(
          "the policy of " + row.getString("id") + " cannot be read", "XX001", e);
    }
  }

  private static SandboxState state(ResultSet row) throws SQLException {
    String state = row.getString("state");
    return switch (state) {
      case "STARTING" -> new Starting(row.getObject("process", UUID.class));
      case "RUNNING", "PAUSED", "SUSPENDED" ->
          Live.of(Activity.valueOf(state), instant(row, "state_time"), row.getLong("state_change"));
      case "STOPPING" ->
          new Stopping(EndCause.valueOf(row.getString("end_cause")), row.getString("end_message"));
      case "ENDED" ->
          new Ended(
              EndCause.valueOf(row.getString("end_cause")),
              row.getString("end_message"),
              instant(row, "end_time"));
      default ->
          throw new SQLException("state of " + row.getString("id") + " is " + state, "XX001");
    };
  }
}
