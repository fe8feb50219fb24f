package dev.cofferdam.broker.catalog;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.Hmac;
import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.policy.PlaceholderShape;
import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.egress.PlaceholderForm;
import dev.cofferdam.v1.ClientCredentials;
import dev.cofferdam.v1.HmacSignature;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/** The rows of secrets. */
public final class SecretRows {
  /**
   * Of each binding the lists as one text each, for neither a host nor a target holds a space. One
   * statement, so a secret and its bindings are of one moment.
   */
  private static final String SELECT =
      "select s.*, l.uses as limit_uses, l.rate as limit_rate, l.per_ms as limit_per_ms,"
          + " l.expire_time as limit_expire_time, b.* from secret s"
          + " left join secret_limit l on l.secret = s.id cross join lateral (select"
          + " array_agg(array_to_string(hosts, ' ') order by ordinal) as hosts,"
          + " array_agg(array_to_string(targets, ' ') order by ordinal) as targets,"
          + " array_agg(occurrences order by ordinal) as occurrences,"
          + " array_agg(cleartext order by ordinal) as cleartext,"
          + " array_agg(required order by ordinal) as required,"
          + " array_agg(hmac order by ordinal) as hmac"
          + " from secret_binding where secret = s.id) b";

  private static final String COLUMNS =
      "id, value, tenant, name, version, revision, weak, fork_mode, create_time, update_time,"
          + " shape_prefix, shape_length, shape_form, oauth";

  private SecretRows() {}

  /** How a row is held until the transaction ends. */
  public enum Lock {
    NONE(""),
    SHARE(" for share"),
    UPDATE(" for update");

    private final String sql;

    Lock(String sql) {
      this.sql = sql;
    }
  }

  public static Optional<Secret> find(Tx tx, String tenant, String name, Lock lock)
      throws SQLException {
    hold(tx, lock, "tenant = ? and name = ?", tenant, name);
    return tx.first(SELECT + " where tenant = ? and name = ?", SecretRows::read, tenant, name);
  }

  /** Those of the names that there are. */
  public static Map<String, Secret> byName(
      Tx tx, String tenant, Collection<String> names, Lock lock) throws SQLException {
    List<String> wanted = List.copyOf(names);
    hold(tx, lock, "tenant = ? and name = any (?)", tenant, wanted);
    Map<String, Secret> found = new HashMap<>();
    tx.list(SELECT + " where tenant = ? and name = any (?)", SecretRows::read, tenant, wanted)
        .forEach(secret -> found.put(secret.name(), secret));
    return found;
  }

  /** By name, after one, at most {@code limit}. */
  static List<Secret> list(Tx tx, String tenant, String after, int limit) throws SQLException {
    return tx.list(
        SELECT + " where tenant = ? and name > ? collate \"C\" order by name collate \"C\" limit ?",
        SecretRows::read,
        tenant,
        after,
        limit);
  }

  /** Those of the ids that there are. */
  public static Map<UUID, Secret> byId(Tx tx, Collection<UUID> ids, Lock lock) throws SQLException {
    List<String> wanted = ids.stream().map(UUID::toString).toList();
    hold(tx, lock, "id = any (?::uuid[])", wanted);
    Map<UUID, Secret> found = new HashMap<>();
    tx.list(SELECT + " where id = any (?::uuid[])", SecretRows::read, wanted)
        .forEach(secret -> found.put(secret.id(), secret));
    return found;
  }

  /**
   * A statement of its own before the one that reads: what was waited for is then there to be read.
   */
  private static void hold(Tx tx, Lock lock, String which, Object... arguments)
      throws SQLException {
    if (lock != Lock.NONE) {
      tx.list(
          "select id from secret where " + which + " order by id" + lock.sql,
          row -> row.getString(1),
          arguments);
    }
  }

  static void insert(Tx tx, Secret secret) throws SQLException {
    tx.update(
        "insert into secret (" + COLUMNS + ") values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        secret.id(),
        secret.value(),
        secret.tenant(),
        secret.name(),
        secret.version(),
        secret.revision(),
        secret.weak(),
        secret.forkMode().text(),
        secret.createTime(),
        secret.updateTime(),
        secret.shape().map(PlaceholderShape::prefix).orElse(""),
        secret.shape().map(PlaceholderShape::length).orElse(0),
        secret.shape().map(PlaceholderShape::form).orElse(PlaceholderForm.USUAL).name(),
        oauth(secret));
    insertBindings(tx, secret);
    LimitRows.put(tx, secret.id(), secret.limits());
  }

  static void update(Tx tx, Secret secret) throws SQLException {
    tx.update(
        "update secret set value = ?, version = ?, revision = ?, weak = ?, fork_mode = ?,"
            + " update_time = ?, oauth = ? where id = ?",
        secret.value(),
        secret.version(),
        secret.revision(),
        secret.weak(),
        secret.forkMode().text(),
        secret.updateTime(),
        oauth(secret),
        secret.id());
    tx.update("delete from secret_binding where secret = ?", secret.id());
    insertBindings(tx, secret);
    LimitRows.put(tx, secret.id(), secret.limits());
  }

  /** Notes a value for removal from the store. */
  static void garbage(Tx tx, SecretKey key, Instant due) throws SQLException {
    tx.update(
        "insert into store_garbage (tenant, name, value, version, due) values (?, ?, ?, ?, ?)"
            + " on conflict (value) do update set due = excluded.due",
        key.tenant(),
        key.name(),
        key.value(),
        key.version(),
        due);
  }

  static boolean ungarbage(Tx tx, SecretKey key) throws SQLException {
    return tx.update("delete from store_garbage where value = ?", key.value()) == 1;
  }

  static List<SecretKey> garbageDue(Tx tx, Instant now, int limit) throws SQLException {
    return tx.list(
        "select tenant, name, value, version from store_garbage where due <= ? limit ?",
        row ->
            new SecretKey(
                row.getString("tenant"),
                row.getString("name"),
                row.getObject("value", UUID.class),
                row.getLong("version")),
        now,
        limit);
  }

  private static void insertBindings(Tx tx, Secret secret) throws SQLException {
    for (int i = 0; i < secret.bindings().size(); i++) {
      Binding binding = secret.bindings().get(i);
      tx.update(
          "insert into secret_binding (secret, ordinal, hosts, targets, occurrences, cleartext,"
              + " required, hmac) values (?, ?, ?, ?, ?, ?, ?, ?)",
          secret.id(),
          i,
          binding.hosts().stream().map(HostPattern::toString).toList(),
          binding.targets().stream().map(Target::text).toList(),
          binding.occurrences(),
          binding.cleartext(),
          binding.require(),
          binding.hmac().map(by -> by.spec().toByteArray()).orElse(new byte[0]));
    }
  }

  private static Secret read(ResultSet row) throws SQLException {
    return new Secret(
        row.getObject("id", UUID.class),
        row.getObject("value", UUID.class),
        row.getString("tenant"),
        row.getString("name"),
        row.getLong("version"),
        row.getLong("revision"),
        row.getBoolean("weak"),
        ForkMode.of(row.getString("fork_mode")),
        bindings(row),
        LimitRows.read(row),
        shape(row),
        oauth(row.getBytes("oauth")),
        Tx.instant(row, "create_time"),
        Tx.instant(row, "update_time"));
  }

  private static Optional<PlaceholderShape> shape(ResultSet row) throws SQLException {
    int length = row.getInt("shape_length");
    return length == 0
        ? Optional.empty()
        : Optional.of(
            new PlaceholderShape(
                row.getString("shape_prefix"),
                length,
                PlaceholderForm.valueOf(row.getString("shape_form"))));
  }

  private static byte[] oauth(Secret secret) {
    return secret.oauth().map(client -> client.spec().toByteArray()).orElse(new byte[0]);
  }

  private static Optional<OAuth> oauth(byte[] spec) throws SQLException {
    try {
      return spec.length == 0
          ? Optional.empty()
          : Optional.of(new OAuth(ClientCredentials.parseFrom(spec)));
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException("a secret's client credentials are none", e);
    }
  }

  /** Of these values those that are in force and that a sandbox may use. */
  static List<UUID> inUse(Tx tx, Collection<UUID> values) throws SQLException {
    return tx.list(
        "select s.value from secret s where s.value = any (?::uuid[]) and exists"
            + " (select from secret_grant g where g.secret = s.id and not g.revoked)",
        row -> row.getObject("value", UUID.class),
        values.stream().map(UUID::toString).toList());
  }

  private static Optional<Hmac> hmac(byte[] spec) throws SQLException {
    try {
      return spec.length == 0
          ? Optional.empty()
          : Optional.of(new Hmac(HmacSignature.parseFrom(spec)));
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException("a binding's signature is none", e);
    }
  }

  private static List<Binding> bindings(ResultSet row) throws SQLException {
    List<String> hosts = Tx.texts(row, "hosts");
    List<String> targets = Tx.texts(row, "targets");
    Short[] occurrences = (Short[]) row.getArray("occurrences").getArray();
    Boolean[] cleartext = (Boolean[]) row.getArray("cleartext").getArray();
    Boolean[] required = (Boolean[]) row.getArray("required").getArray();
    List<byte[]> hmac = Tx.bytes(row, "hmac");
    List<Binding> bindings = new ArrayList<>();
    for (int i = 0; i < occurrences.length; i++) {
      bindings.add(
          new Binding(
              Stream.of(hosts.get(i).split(" ")).map(HostPattern::parse).toList(),
              Stream.of(targets.get(i).split(" ")).map(Target::parse).toList(),
              occurrences[i],
              cleartext[i],
              required[i],
              hmac(hmac.get(i))));
    }
    return bindings;
  }
}
