package dev.cofferdam.broker.catalog;

import dev.cofferdam.broker.sql.Tx;
import java.sql.SQLException;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * Secrets as they were read last, none of whose values is among it. Each time one is wanted the
 * database is asked which state it is in, and for the secret itself only where that is another one:
 * to read one with its bindings and to make sense of them costs more than all else of a use.
 *
 * <p>For one thread at a time.
 */
public final class KnownSecrets {
  /** The least recently used goes first. */
  private static final int KEPT = 1024;

  private final LinkedHashMap<UUID, Secret> secrets =
      new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<UUID, Secret> eldest) {
          return size() > KEPT;
        }
      };

  /**
   * Which state a secret is in. The time tells states of one revision apart that a database has
   * after it was set back.
   */
  public record State(UUID id, long revision, Instant updateTime) {
    boolean of(Secret secret) {
      return revision == secret.revision() && updateTime.equals(secret.updateTime());
    }
  }

  /** Of the secrets that were granted to a sandbox and still are there. */
  public static Tx.Select<State> granted(Collection<String> sandboxes) {
    return Tx.Select.of(
        "select id, revision, update_time from secret"
            + " where id in (select secret from secret_grant where sandbox = any (?))",
        row ->
            new State(
                row.getObject("id", UUID.class),
                row.getLong("revision"),
                Tx.instant(row, "update_time")),
        List.copyOf(sandboxes));
  }

  /** Of these states, or of newer ones. One that has gone since is not among them. */
  public Map<UUID, Secret> read(Tx tx, List<State> states) throws SQLException {
    Map<UUID, Secret> found = new HashMap<>();
    for (State state : states) {
      Secret known = secrets.get(state.id());
      if (known != null && state.of(known)) {
        found.put(state.id(), known);
      }
    }
    if (found.size() < states.size()) {
      List<UUID> missing =
          states.stream().map(State::id).filter(id -> !found.containsKey(id)).toList();
      Map<UUID, Secret> read = SecretRows.byId(tx, missing, SecretRows.Lock.NONE);
      secrets.putAll(read);
      found.putAll(read);
    }
    return found;
  }
}
