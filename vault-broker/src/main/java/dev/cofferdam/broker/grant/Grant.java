package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.sql.Tx;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * The right of one sandbox to use one secret by one placeholder.
 *
 * @param secret may be deleted: then the grant is revoked
 * @param env the variable that holds the placeholder
 * @param inherited the hashes of further placeholders that stand for it, those of the sandbox that
 *     this one is a copy of; at most {@value #MAX_INHERITED}
 */
record Grant(
    String id,
    String sandbox,
    long generation,
    UUID secret,
    String secretName,
    String env,
    ByteString placeholderHash,
    List<ByteString> inherited,
    boolean revoked) {
  /** A gateway has to be told of them in one message, with those of all other secrets. */
  static final int MAX_INHERITED = 256;

  private static final String COLUMNS =
      "id, sandbox, generation, secret, secret_name, env, placeholder_sha256, inherited, revoked";

  Grant {
    inherited = List.copyOf(inherited);
  }

  /** Whether a placeholder stands for it. */
  boolean answersTo(ByteString hash) {
    return placeholderHash.equals(hash) || inherited.contains(hash);
  }

  Grant inheriting(List<ByteString> hashes) {
    return new Grant(
        id, sandbox, generation, secret, secretName, env, placeholderHash, hashes, revoked);
  }

  static void insertAll(Tx tx, List<Grant> grants) throws SQLException {
    if (grants.isEmpty()) {
      return;
    }
    List<String> heirs = new ArrayList<>();
    List<byte[]> hashes = new ArrayList<>();
    for (Grant grant : grants) {
      for (ByteString hash : grant.inherited()) {
        heirs.add(grant.id());
        hashes.add(hash.toByteArray());
      }
    }
    Grant first = grants.getFirst();
    tx.update(
        "insert into secret_grant (sandbox, generation, id, secret, secret_name, env,"
            + " placeholder_sha256, inherited) select ?, ?, id, secret::uuid, name, env, hash,"
            + " coalesce((select array_agg(i.hash order by i.ordinal) from"
            + " unnest(?, ?) with ordinality as i (heir, hash, ordinal) where i.heir = g.id), '{}')"
            + " from unnest(?, ?, ?, ?, ?) as g (id, secret, name, env, hash)",
        first.sandbox(),
        first.generation(),
        heirs,
        hashes.toArray(byte[][]::new),
        grants.stream().map(Grant::id).toList(),
        grants.stream().map(grant -> grant.secret().toString()).toList(),
        grants.stream().map(Grant::secretName).toList(),
        grants.stream().map(Grant::env).toList(),
        grants.stream().map(grant -> grant.placeholderHash().toByteArray()).toArray(byte[][]::new));
  }

  /** Of each sandbox those that are not revoked. */
  static List<Grant> live(Tx tx, List<String> sandboxes) throws SQLException {
    return tx.list(
        "select "
            + COLUMNS
            + " from secret_grant where sandbox = any (?) and not revoked order by id",
        Grant::of,
        sandboxes);
  }

  /** Those of one generation, revoked ones too. */
  static List<Grant> ofGeneration(Tx tx, String sandbox, long generation) throws SQLException {
    return tx.list(
        "select " + COLUMNS + " from secret_grant where sandbox = ? and generation = ? order by id",
        Grant::of,
        sandbox,
        generation);
  }

  /** All of these sandboxes, revoked ones too, held against change until the transaction ends. */
  static Tx.Select<Grant> share(List<String> sandboxes) {
    return Tx.Select.of(
        "select " + COLUMNS + " from secret_grant where sandbox = any (?) order by id for share",
        Grant::of,
        sandboxes);
  }

  static void revokeOf(Tx tx, String sandbox) throws SQLException {
    tx.update(
        "update secret_grant set revoked = true where id in"
            // In the order in which others lock them.
            + " (select id from secret_grant where sandbox = ? and not revoked"
            + " order by id for update)",
        sandbox);
  }

  /** No grant of the secret answers to an inherited placeholder any more. */
  static void disinherit(Tx tx, UUID secret) throws SQLException {
    // In the order in which others lock them.
    tx.list(
        "select id from secret_grant where secret = ? and inherited <> '{}' order by id for update",
        row -> row.getString(1),
        secret);
    tx.update(
        "update secret_grant set inherited = '{}' where secret = ? and inherited <> '{}'", secret);
  }

  private static Grant of(ResultSet row) throws SQLException {
    return new Grant(
        row.getString("id"),
        row.getString("sandbox"),
        row.getLong("generation"),
        row.getObject("secret", UUID.class),
        row.getString("secret_name"),
        row.getString("env"),
        ByteString.copyFrom(row.getBytes("placeholder_sha256")),
        Tx.bytes(row, "inherited").stream().map(ByteString::copyFrom).toList(),
        row.getBoolean("revoked"));
  }
}
