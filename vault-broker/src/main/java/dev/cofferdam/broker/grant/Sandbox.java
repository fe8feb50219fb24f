package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.PolicyMode;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * What the broker holds of a sandbox.
 *
 * @param root its lineage's certificate, DER
 * @param generation of its placeholders, from 1
 * @param epoch the highest seen
 * @param node the one that the latest ticket is for
 * @param policyRevision from 1
 * @param revoked for good
 * @param session what is known only of an egress session, which is in no slot
 */
record Sandbox(
    String id,
    String tenant,
    String lineage,
    ByteString root,
    long generation,
    long epoch,
    String node,
    EgressPolicy policy,
    long policyRevision,
    boolean revoked,
    Optional<Session> session) {
  /**
   * @param tokenHash SHA-256 of what it is known by at explicit proxies
   * @param expires when it ends, unless that is put off
   */
  record Session(ByteString tokenHash, Instant expires) {}

  private static final String COLUMNS =
      "id, tenant, lineage, (select certificate from lineage where id = sandbox.lineage) as root,"
          + " generation, epoch, node, policy, policy_revision,"
          + " revoke_time is not null as revoked, proxy_token_sha256, expire_time";

  static Optional<Sandbox> read(Tx tx, String id) throws SQLException {
    return tx.first("select " + COLUMNS + " from sandbox where id = ?", Sandbox::of, id);
  }

  /** Those of the ids that there are. */
  static Map<String, Sandbox> readAll(Tx tx, List<String> ids) throws SQLException {
    Map<String, Sandbox> found = new HashMap<>();
    tx.list("select " + COLUMNS + " from sandbox where id = any (?)", Sandbox::of, ids)
        .forEach(sandbox -> found.put(sandbox.id(), sandbox));
    return found;
  }

  /** The one that a ticket is for, held until the transaction ends. */
  static Optional<Sandbox> lockOfTicket(Tx tx, String ticket) throws SQLException {
    return tx.first(
        "select "
            + COLUMNS
            + " from sandbox where id = (select sandbox from attach_ticket where sha256 = ?)"
            + " for update",
        Sandbox::of,
        RandomTokens.hash(ticket));
  }

  /** Held until the transaction ends. */
  static Optional<Sandbox> lock(Tx tx, String id) throws SQLException {
    return tx.first("select " + COLUMNS + " from sandbox where id = ? for update", Sandbox::of, id);
  }

  /** What of it decides about the use of its secrets. */
  record Standing(String id, String tenant, long generation, boolean learns, Instant end) {
    boolean ended(Instant now) {
      return !now.isBefore(end);
    }
  }

  /** Held against change until the transaction ends. */
  static Tx.Select<Standing> share(List<String> ids) {
    return Tx.Select.of(
        "select id, tenant, generation, learns, least(revoke_time, expire_time) as end_time"
            + " from sandbox where id = any (?) order by id for share",
        row ->
            new Standing(
                row.getString("id"),
                row.getString("tenant"),
                row.getLong("generation"),
                row.getBoolean("learns"),
                row.getObject("end_time") == null ? Instant.MAX : Tx.instant(row, "end_time")),
        ids);
  }

  /** All that have not ended. */
  static List<Sandbox> live(Tx tx) throws SQLException {
    return tx.list(
        "select " + COLUMNS + " from sandbox where revoke_time is null order by id", Sandbox::of);
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

  /** Whether its policy lets it out to learn, for which no secret is used. */
  boolean learns() {
    return learns(policy);
  }

  static boolean learns(EgressPolicy policy) {
    return policy.getMode() == PolicyMode.POLICY_MODE_LEARN;
  }

  Sandbox at(String otherNode, long otherEpoch) {
    return new Sandbox(
        id,
        tenant,
        lineage,
        root,
        generation,
        otherEpoch,
        otherNode,
        policy,
        policyRevision,
        revoked,
        session);
  }

  /** Whether it is over: a session ends by itself, whether or not that was written down yet. */
  boolean ended(Instant now) {
    return revoked || session.filter(with -> !now.isBefore(with.expires())).isPresent();
  }

  private static Optional<Session> session(ResultSet row) throws SQLException {
    byte[] hash = row.getBytes("proxy_token_sha256");
    return hash == null
        ? Optional.empty()
        : Optional.of(new Session(ByteString.copyFrom(hash), Tx.instant(row, "expire_time")));
  }

  private static Sandbox of(ResultSet row) throws SQLException {
    return new Sandbox(
        row.getString("id"),
        row.getString("tenant"),
        row.getString("lineage"),
        ByteString.copyFrom(row.getBytes("root")),
        row.getLong("generation"),
        row.getLong("epoch"),
        row.getString("node"),
        policy(row),
        row.getLong("policy_revision"),
        row.getBoolean("revoked"),
        session(row));
  }

  private static EgressPolicy policy(ResultSet row) throws SQLException {
    try {
      return EgressPolicy.parseFrom(row.getBytes("policy"));
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException("sandbox holds no policy", e);
    }
  }
}
