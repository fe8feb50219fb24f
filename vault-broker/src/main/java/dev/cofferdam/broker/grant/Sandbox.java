package dev.cofferdam.broker.grant;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.v1.EgressPolicy;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * What the broker holds of a sandbox.
 *
 * @param generation of its placeholders, from 1
 * @param epoch the highest seen
 * @param node the one that the latest ticket is for
 * @param policyRevision from 1
 * @param revoked for good
 */
record Sandbox(
    String id,
    String tenant,
    String lineage,
    long generation,
    long epoch,
    String node,
    EgressPolicy policy,
    long policyRevision,
    boolean revoked) {
  private static final String COLUMNS =
      "id, tenant, lineage, generation, epoch, node, policy, policy_revision,"
          + " revoke_time is not null as revoked";

  static Optional<Sandbox> read(Tx tx, String id) throws SQLException {
    return tx.first("select " + COLUMNS + " from sandbox where id = ?", Sandbox::of, id);
  }

  /** Held until the transaction ends. */
  static Optional<Sandbox> lock(Tx tx, String id) throws SQLException {
    return tx.first("select " + COLUMNS + " from sandbox where id = ? for update", Sandbox::of, id);
  }

  /** Held against change until the transaction ends. */
  static List<Sandbox> share(Tx tx, List<String> ids) throws SQLException {
    return tx.list(
        "select " + COLUMNS + " from sandbox where id = any (?) order by id for share",
        Sandbox::of,
        ids);
  }

  /** Those that may use a secret. */
  static List<Sandbox> withSecret(Tx tx, UUID secret) throws SQLException {
    return tx.list(
        "select "
            + COLUMNS
            + " from sandbox where revoke_time is null and id in"
            + " (select sandbox from secret_grant where secret = ? and not revoked) order by id",
        Sandbox::of,
        secret);
  }

  private static Sandbox of(ResultSet row) throws SQLException {
    try {
      return new Sandbox(
          row.getString("id"),
          row.getString("tenant"),
          row.getString("lineage"),
          row.getLong("generation"),
          row.getLong("epoch"),
          row.getString("node"),
          EgressPolicy.parseFrom(row.getBytes("policy")),
          row.getLong("policy_revision"),
          row.getBoolean("revoked"));
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException("sandbox holds no policy", e);
    }
  }
}
