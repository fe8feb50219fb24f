package dev.cofferdam.scheduler.store;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * Request ids of creates, whatever they make. An id is taken in the transaction that stores the
 * records of what is made, and freed in the one that gives them up. Safe for use by several
 * threads.
 */
public final class RequestStore {
  /** How long a request id is remembered. */
  public static final Duration MEMORY = Duration.ofHours(24);

  /**
   * What makes a create idempotent.
   *
   * @param fingerprint SHA-256 of the request without its id
   */
  public record RequestKey(String id, Fingerprint fingerprint) {}

  /**
   * A create that was taken before.
   *
   * @param made ids, at least one
   */
  public record KnownRequest(Fingerprint fingerprint, List<String> made) {
    public KnownRequest {
      made = List.copyOf(made);
    }
  }

  private final Database database;

  public RequestStore(Database database) {
    this.database = database;
  }

  public Optional<KnownRequest> find(String tenant, String requestId, Instant now) {
    return database.read(connection -> find(connection, tenant, requestId, now));
  }

  /** Forgets what is older than {@link #MEMORY}. */
  public int prune(Instant now) {
    return database.transact(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("delete from create_requests where create_time < ?")) {
        SandboxRows.setInstant(statement, 1, now.minus(MEMORY));
        return statement.executeUpdate();
      }
    });
  }

  /** Empty when the id is now this create's; otherwise whose it is. The tenant is locked. */
  static Optional<KnownRequest> remember(
      Connection connection, String tenant, RequestKey request, List<String> made, Instant now)
      throws SQLException {
    Optional<KnownRequest> known = find(connection, tenant, request.id(), now);
    if (known.isPresent()) {
      return known;
    }
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            insert into create_requests (tenant, request_id, fingerprint, made, create_time)
            values (?, ?, ?, ?, ?)
            on conflict (tenant, request_id) do update
            set fingerprint = excluded.fingerprint, made = excluded.made,
                create_time = excluded.create_time
            """)) {
      statement.setString(1, tenant);
      statement.setString(2, request.id());
      statement.setBytes(3, request.fingerprint().bytes());
      statement.setArray(4, SandboxRows.texts(connection, made));
      SandboxRows.setInstant(statement, 5, now);
      statement.executeUpdate();
      return Optional.empty();
    }
  }

  /** The create that was to make this failed, and may be tried again under its id. */
  static void forget(Connection connection, String made) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("delete from create_requests where made @> array[?]::text[]")) {
      statement.setString(1, made);
      statement.executeUpdate();
    }
  }

  private static Optional<KnownRequest> find(
      Connection connection, String tenant, String requestId, Instant now) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            select fingerprint, made from create_requests
            where tenant = ? and request_id = ? and create_time > ?
            """)) {
      statement.setString(1, tenant);
      statement.setString(2, requestId);
      SandboxRows.setInstant(statement, 3, now.minus(MEMORY));
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next()
            ? Optional.of(
                new KnownRequest(
                    Fingerprint.of(rows.getBytes("fingerprint")), SandboxRows.texts(rows, "made")))
            : Optional.empty();
      }
    }
  }
}
