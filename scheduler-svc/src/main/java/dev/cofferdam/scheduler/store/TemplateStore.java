package dev.cofferdam.scheduler.store;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.scheduler.template.TemplateState;
import dev.cofferdam.v1.TemplateSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The records of tenants' templates. Safe for use by several threads; every method may throw the
 * Refusal of {@link Database}.
 */
public final class TemplateStore {
  private static final String SELECT =
      """
      select id, tenant, name, source, vcpus, memory_mib, disk_mib, digest, state, message,
        builder, request_fingerprint, create_time
      from templates
      """;

  /** What came of a create. */
  public sealed interface Outcome {
    record Created() implements Outcome {}

    record Exists() implements Outcome {}

    /** This request made it before. */
    record Known(Template template, Fingerprint fingerprint) implements Outcome {}

    record OverQuota(int inUse) implements Outcome {}
  }

  private final Database database;

  public TemplateStore(Database database) {
    this.database = database;
  }

  /**
   * Stores the record of one that begins, unless the tenant has {@code quota} of them.
   *
   * @param request empty: not idempotent
   */
  public Outcome create(Template template, Optional<RequestKey> request, int quota) {
    return database.transact(connection -> {
      // Of two creates at once the second counts the first.
      EventStore.lock(connection, template.tenant());
      if (request.isPresent()) {
        Optional<Outcome.Known> known = known(connection, template.tenant(), request.get().id());
        if (known.isPresent()) {
          return known.get();
        }
      }
      int inUse = inUse(connection, template.tenant());
      if (exists(connection, template)) {
        return new Outcome.Exists();
      }
      if (inUse >= quota) {
        return new Outcome.OverQuota(inUse);
      }
      insert(connection, template, request);
      return new Outcome.Created();
    });
  }

  /** By its tenant's name for it. */
  public Optional<Template> find(String tenant, String name) {
    if (!Template.isName(name)) {
      return Optional.empty();
    }
    return database
        .read(connection -> {
          try (PreparedStatement statement =
              connection.prepareStatement(
                  SELECT + "where tenant = ? and name = ? and state <> 'DELETING'")) {
            statement.setString(1, tenant);
            statement.setString(2, name);
            return readAll(statement);
          }
        })
        .stream()
        .findFirst();
  }

  public Optional<Template> find(String id) {
    return database
        .read(connection -> {
          try (PreparedStatement statement = connection.prepareStatement(SELECT + "where id = ?")) {
            statement.setString(1, id);
            return readAll(statement);
          }
        })
        .stream()
        .findFirst();
  }

  /** By name, those after one. */
  public List<Template> page(String tenant, String after, int limit) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              SELECT
                  + "where tenant = ? and state <> 'DELETING' and name collate \"C\" > ?"
                  + " order by name collate \"C\" limit ?")) {
        statement.setString(1, tenant);
        statement.setString(2, after);
        statement.setInt(3, limit);
        return readAll(statement);
      }
    });
  }

  public List<Template> in(TemplateState... states) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(SELECT + "where state = any(?) order by id")) {
        List<String> names = new ArrayList<>();
        for (TemplateState state : states) {
          names.add(state.name());
        }
        statement.setArray(1, SandboxRows.texts(connection, names));
        return readAll(statement);
      }
    });
  }

  /** Which of these ids are on record, those that go included. */
  public Set<String> known(Collection<String> ids) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("select id from templates where id = any(?)")) {
        statement.setArray(1, SandboxRows.texts(connection, List.copyOf(ids)));
        Set<String> known = new HashSet<>();
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            known.add(rows.getString(1));
          }
        }
        return known;
      }
    });
  }

  /** False when it is no longer being made; nothing was stored. */
  public boolean made(String id, TemplateState end, String digest, String message) {
    return database.transact(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "update templates set state = ?, digest = ?, message = ?"
                  + " where id = ? and state = 'MAKING'")) {
        statement.setString(1, end.name());
        statement.setString(2, digest);
        statement.setString(3, message);
        statement.setString(4, id);
        return statement.executeUpdate() == 1;
      }
    });
  }

  /** False when it goes already, or is gone. */
  public boolean deleting(String id) {
    return database.transact(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "update templates set state = 'DELETING' where id = ? and state <> 'DELETING'")) {
        statement.setString(1, id);
        return statement.executeUpdate() == 1;
      }
    });
  }

  /** Its create came to nothing: its name is free again, as if it had never been. */
  public void withdraw(String id) {
    var _ =
        database.transact(connection -> {
          try (PreparedStatement statement =
              connection.prepareStatement("delete from templates where id = ?")) {
            statement.setString(1, id);
            return statement.executeUpdate();
          }
        });
  }

  /** It is at no node any more. */
  public void remove(String id) {
    var _ =
        database.transact(connection -> {
          try (PreparedStatement statement =
              connection.prepareStatement(
                  "delete from templates where id = ? and state = 'DELETING'")) {
            statement.setString(1, id);
            return statement.executeUpdate();
          }
        });
  }

  private static Optional<Outcome.Known> known(
      Connection connection, String tenant, String requestId) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            SELECT + "where tenant = ? and request_id = ? and state <> 'DELETING'")) {
      statement.setString(1, tenant);
      statement.setString(2, requestId);
      try (ResultSet row = statement.executeQuery()) {
        return row.next()
            ? Optional.of(
                new Outcome.Known(read(row), new Fingerprint(row.getString("request_fingerprint"))))
            : Optional.empty();
      }
    }
  }

  private static boolean exists(Connection connection, Template template) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select 1 from templates where tenant = ? and name = ? and state <> 'DELETING'")) {
      statement.setString(1, template.tenant());
      statement.setString(2, template.name());
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next();
      }
    }
  }

  private static int inUse(Connection connection, String tenant) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select count(*) from templates where tenant = ? and state <> 'DELETING'")) {
      statement.setString(1, tenant);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getInt(1);
      }
    }
  }

  private static void insert(Connection connection, Template template, Optional<RequestKey> request)
      throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            insert into templates (id, tenant, name, source, vcpus, memory_mib, disk_mib, digest,
              state, message, builder, request_id, request_fingerprint, create_time)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)) {
      int index = 1;
      statement.setString(index++, template.id());
      statement.setString(index++, template.tenant());
      statement.setString(index++, template.name());
      statement.setBytes(index++, template.source().toByteArray());
      statement.setInt(index++, template.size().vcpus());
      statement.setInt(index++, template.size().memoryMib());
      statement.setInt(index++, template.size().diskMib());
      statement.setString(index++, template.digest());
      statement.setString(index++, template.state().name());
      statement.setString(index++, template.message());
      statement.setString(index++, template.builder());
      statement.setString(index++, request.map(RequestKey::id).orElse(""));
      statement.setString(index++, request.map(key -> key.fingerprint().hex()).orElse(""));
      SandboxRows.setInstant(statement, index, template.createTime());
      statement.executeUpdate();
    }
  }

  private static List<Template> readAll(PreparedStatement statement) throws SQLException {
    List<Template> templates = new ArrayList<>();
    try (ResultSet row = statement.executeQuery()) {
      while (row.next()) {
        templates.add(read(row));
      }
    }
    return templates;
  }

  private static Template read(ResultSet row) throws SQLException {
    return new Template(
        row.getString("id"),
        row.getString("tenant"),
        row.getString("name"),
        source(row),
        new SandboxSize(row.getInt("vcpus"), row.getInt("memory_mib"), row.getInt("disk_mib")),
        row.getString("digest"),
        TemplateState.valueOf(row.getString("state")),
        row.getString("message"),
        row.getString("builder"),
        SandboxRows.instant(row, "create_time"));
  }

  private static TemplateSource source(ResultSet row) throws SQLException {
    try {
      return TemplateSource.parseFrom(row.getBytes("source"));
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException("source of " + row.getString("id") + " cannot be read", "XX001", e);
    }
  }
}
