package dev.cofferdam.broker.catalog;

import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.sql.Tx;
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

/** The rows of secrets. */
public final class SecretRows {
  private static final String COLUMNS =
      "id, value, tenant, name, version, revision, weak, fork_mode, create_time, update_time";

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
    Optional<Head> head =
        tx.first(
            "select " + COLUMNS + " from secret where tenant = ? and name = ?" + lock.sql,
            Head::read,
            tenant,
            name);
    if (head.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(withBindings(tx, List.of(head.get())).getFirst());
  }

  /** By name, after one, at most {@code limit}. */
  static List<Secret> list(Tx tx, String tenant, String after, int limit) throws SQLException {
    return withBindings(
        tx,
        tx.list(
            "select "
                + COLUMNS
                + " from secret where tenant = ? and name > ? collate \"C\""
                + " order by name collate \"C\" limit ?",
            Head::read,
            tenant,
            after,
            limit));
  }

  /** Those of the ids that there are. */
  public static Map<UUID, Secret> byId(Tx tx, Collection<UUID> ids, Lock lock) throws SQLException {
    Map<UUID, Secret> found = new HashMap<>();
    List<Head> heads =
        tx.list(
            "select " + COLUMNS + " from secret where id = any (?::uuid[]) order by id" + lock.sql,
            Head::read,
            texts(ids));
    withBindings(tx, heads).forEach(secret -> found.put(secret.id(), secret));
    return found;
  }

  static void insert(Tx tx, Secret secret) throws SQLException {
    tx.update(
        "insert into secret (" + COLUMNS + ") values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        secret.id(),
        secret.value(),
        secret.tenant(),
        secret.name(),
        secret.version(),
        secret.revision(),
        secret.weak(),
        secret.forkMode().text(),
        secret.createTime(),
        secret.updateTime());
    insertBindings(tx, secret);
  }

  static void update(Tx tx, Secret secret) throws SQLException {
    tx.update(
        "update secret set value = ?, version = ?, revision = ?, weak = ?, fork_mode = ?,"
            + " update_time = ? where id = ?",
        secret.value(),
        secret.version(),
        secret.revision(),
        secret.weak(),
        secret.forkMode().text(),
        secret.updateTime(),
        secret.id());
    tx.update("delete from secret_binding where secret = ?", secret.id());
    insertBindings(tx, secret);
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
          "insert into secret_binding (secret, ordinal, hosts, targets, occurrences, cleartext)"
              + " values (?, ?, ?, ?, ?, ?)",
          secret.id(),
          i,
          binding.hosts().stream().map(HostPattern::toString).toList(),
          binding.targets().stream().map(Target::text).toList(),
          binding.occurrences(),
          binding.cleartext());
    }
  }

  private static List<Secret> withBindings(Tx tx, List<Head> heads) throws SQLException {
    Map<UUID, List<Binding>> bindings = new HashMap<>();
    tx.list(
        "select secret, hosts, targets, occurrences, cleartext from secret_binding"
            + " where secret = any (?::uuid[]) order by secret, ordinal",
        row ->
            bindings
                .computeIfAbsent(row.getObject("secret", UUID.class), id -> new ArrayList<>())
                .add(binding(row)),
        texts(heads.stream().map(Head::id).toList()));
    return heads.stream()
        // Deleted between the two reads: not there.
        .filter(head -> bindings.containsKey(head.id()))
        .map(head -> head.with(bindings.getOrDefault(head.id(), List.of())))
        .toList();
  }

  private static Binding binding(ResultSet row) throws SQLException {
    return new Binding(
        Tx.texts(row, "hosts").stream().map(HostPattern::parse).toList(),
        Tx.texts(row, "targets").stream().map(Target::parse).toList(),
        row.getInt("occurrences"),
        row.getBoolean("cleartext"));
  }

  private static List<String> texts(Collection<UUID> ids) {
    return ids.stream().map(UUID::toString).toList();
  }

  private record Head(
      UUID id,
      UUID value,
      String tenant,
      String name,
      long version,
      long revision,
      boolean weak,
      ForkMode forkMode,
      Instant createTime,
      Instant updateTime) {
    static Head read(ResultSet row) throws SQLException {
      return new Head(
          row.getObject("id", UUID.class),
          row.getObject("value", UUID.class),
          row.getString("tenant"),
          row.getString("name"),
          row.getLong("version"),
          row.getLong("revision"),
          row.getBoolean("weak"),
          ForkMode.of(row.getString("fork_mode")),
          Tx.instant(row, "create_time"),
          Tx.instant(row, "update_time"));
    }

    Secret with(List<Binding> bindings) {
      return new Secret(
          id,
          value,
          tenant,
          name,
          version,
          revision,
          weak,
          forkMode,
          bindings,
          createTime,
          updateTime);
    }
  }
}
