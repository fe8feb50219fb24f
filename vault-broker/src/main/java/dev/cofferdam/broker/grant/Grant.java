package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.sql.Tx;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.UUID;

/**
 * The right of one sandbox to use one secret by one placeholder.
 *
 * @param secret may be deleted: then the grant is revoked
 */
record Grant(
    String id,
    String sandbox,
    long generation,
    UUID secret,
    String secretName,
    ByteString placeholderHash,
    boolean revoked) {
  private static final String COLUMNS =
      "id, sandbox, generation, secret, secret_name, placeholder_sha256, revoked";

  static void insert(Tx tx, Grant grant, String env) throws SQLException {
    tx.update(
        "insert into secret_grant (" + COLUMNS + ", env) values (?, ?, ?, ?, ?, ?, ?, ?)",
        grant.id(),
        grant.sandbox(),
        grant.generation(),
        grant.secret(),
        grant.secretName(),
        grant.placeholderHash().toByteArray(),
        grant.revoked(),
        env);
  }

  static List<Grant> live(Tx tx, Sandbox sandbox) throws SQLException {
    return tx.list(
        "select "
            + COLUMNS
            + " from secret_grant where sandbox = ? and generation = ? and not revoked order by id",
        Grant::of,
        sandbox.id(),
        sandbox.generation());
  }

  /** All of these sandboxes, revoked ones too, held against change until the transaction ends. */
  static List<Grant> share(Tx tx, List<String> sandboxes) throws SQLException {
    return tx.list(
        "select " + COLUMNS + " from secret_grant where sandbox = any (?) order by id for share",
        Grant::of,
        sandboxes);
  }

  static void revokeOf(Tx tx, String sandbox) throws SQLException {
    // In the order in which others lock them.
    tx.list(
        "select id from secret_grant where sandbox = ? and not revoked order by id for update",
        row -> row.getString(1),
        sandbox);
    tx.update("update secret_grant set revoked = true where sandbox = ? and not revoked", sandbox);
  }

  private static Grant of(ResultSet row) throws SQLException {
    return new Grant(
        row.getString("id"),
        row.getString("sandbox"),
        row.getLong("generation"),
        row.getObject("secret", UUID.class),
        row.getString("secret_name"),
        ByteString.copyFrom(row.getBytes("placeholder_sha256")),
        row.getBoolean("revoked"));
  }
}
