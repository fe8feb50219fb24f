package dev.cofferdam.broker.catalog;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.AuditRow;
import dev.cofferdam.broker.audit.AuditTexts;
import dev.cofferdam.broker.catalog.SecretRows.Lock;
import dev.cofferdam.broker.oauth.AccessTokens;
import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.Bindings;
import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.policy.PlaceholderShape;
import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.broker.policy.UseLimits;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretRules;
import dev.cofferdam.broker.secret.SecretStore;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import dev.cofferdam.broker.secret.ValueCache;
import dev.cofferdam.broker.sign.KeyBytes;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.Verdict;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.BiFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes, changes and deletes secrets. A value goes to the store first and into force by the commit
 * of its row; what a crash leaves in the store between the two was noted before as garbage and is
 * swept up.
 */
public final class Secrets {
  private static final Logger log = LoggerFactory.getLogger(Secrets.class);

  /** Longer than any write to the store takes. */
  private static final Duration UNFINISHED = Duration.ofMinutes(10);

  /** Longer than any use that was committed before a rotation takes to fetch its value. */
  private static final Duration REPLACED = Duration.ofMinutes(1);

  private static final int SWEEP = 100;

  private final Database database;
  private final SecretStore store;
  private final ValueCache cache;
  private final AccessTokens tokens;
  private final AuditLog audit;
  private final Dependents dependents;
  private final InstantSource clock;

  /** Those who have to know of a change, in its transaction. */
  public interface Dependents {
    /**
     * Refuses bindings that a sandbox which has the secret cannot go with. The secret's row is held
     * for update, and whoever grants it or changes such a sandbox's policy shares it.
     */
    void checkBindings(Tx tx, Secret wanted) throws SQLException;

    /** Bindings, fork mode or version changed. */
    void changed(Tx tx, Secret present) throws SQLException;

    /** Every grant of it ends. */
    void deleted(Tx tx, UUID secret) throws SQLException;
  }

  public Secrets(
      Database database,
      SecretStore store,
      ValueCache cache,
      AccessTokens tokens,
      AuditLog audit,
      Dependents dependents,
      InstantSource clock) {
    this.database = database;
    this.store = store;
    this.cache = cache;
    this.tokens = tokens;
    this.audit = audit;
    this.dependents = dependents;
    this.clock = clock;
  }

  /** A secret as its owner wants it, without the value. */
  public record Draft(
      String name,
      List<Binding> bindings,
      UseLimits limits,
      boolean weak,
      ForkMode forkMode,
      Optional<PlaceholderShape> shape,
      Optional<OAuth> oauth,
      boolean replace) {
    public Draft {
      var _ = SecretRules.checkName(name);
      bindings = Binding.checked(bindings);
      if (oauth.isPresent()
          && bindings.stream().flatMap(b -> b.targets().stream()).anyMatch(Target::signed)) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_BINDING_INVALID,
            "the secret is to sign requests and to fetch access tokens, expected one");
      }
    }
  }

  /** Stores a new secret, or a whole new one in place of it. The caller closes the value. */
  public Secret put(String tenant, Draft draft, SecretValue value, String actor) {
    checkValue(value, draft.weak(), draft.bindings(), draft.oauth());
    Optional<Secret> present =
        database.transact(tx -> SecretRows.find(tx, tenant, draft.name(), Lock.NONE));
    if (present.isPresent() && !draft.replace()) {
      throw exists(draft.name());
    }
    if (present.isPresent() && !present.get().shape().equals(draft.shape())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_BINDING_INVALID,
          "placeholders of the secret %s have another shape, expected the same: what was given out would not be known any more"
              .formatted(draft.name()));
    }
    Instant now = clock.instant();
    Secret planned =
        present
            .map(old ->
                nextValue(
                    old,
                    draft.bindings(),
                    draft.limits(),
                    draft.weak(),
                    draft.forkMode(),
                    draft.oauth()))
            .orElseGet(() ->
                new Secret(
                    UUID.randomUUID(),
                    UUID.randomUUID(),
                    tenant,
                    draft.name(),
                    1,
                    1,
                    draft.weak(),
                    draft.forkMode(),
                    draft.bindings(),
                    draft.limits(),
                    draft.shape(),
                    draft.oauth(),
                    now,
                    now));
    return store(planned, present, value, present.isPresent() ? "replaced" : "stored", actor);
  }

  /** A new value under the same bindings. */
  public Secret rotate(String tenant, String name, String etag, SecretValue value, String actor) {
    Secret present =
        database
            .transact(tx -> SecretRows.find(tx, tenant, SecretRules.checkName(name), Lock.NONE))
            .orElseThrow(() -> notFound(name));
    checkEtag(present, etag);
    checkValue(value, present.weak(), present.bindings(), present.oauth());
    Secret planned =
        nextValue(
            present,
            present.bindings(),
            present.limits(),
            present.weak(),
            present.forkMode(),
            present.oauth());
    return store(planned, Optional.of(present), value, "rotated", actor);
  }

  private static void checkValue(
      SecretValue value, boolean weak, List<Binding> bindings, Optional<OAuth> oauth) {
    SecretRules.checkValue(value, weak);
    if (oauth.isPresent() && value.length() > OAuth.MAX_SECRET) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID,
          "the client's secret has %d bytes, expected at most %d"
              .formatted(value.length(), OAuth.MAX_SECRET));
    }
    if (Binding.ofAws(bindings)) {
      SecretRules.checkAwsCredential(value);
    }
    bindings.stream()
        .flatMap(binding -> binding.hmac().stream())
        .forEach(by -> KeyBytes.check(value, by.spec().getKey()));
  }

  /**
   * What is to be left of a secret's use.
   *
   * @param bindings empty, where something else is given: as they are
   * @param forkMode empty: as it is
   * @param limits empty: as they are
   */
  public record Narrowing(
      List<Binding> bindings, Optional<ForkMode> forkMode, Optional<UseLimits> limits) {
    public Narrowing {
      bindings =
          bindings.isEmpty() && (forkMode.isPresent() || limits.isPresent())
              ? List.of()
              : Binding.checked(bindings);
    }

    private Secret of(Secret present, Instant now) {
      List<Binding> left = bindings.isEmpty() ? present.bindings() : bindings;
      Bindings.checkNarrower(present.bindings(), left);
      ForkMode mode = forkMode.orElse(present.forkMode());
      if (mode == ForkMode.INHERIT && present.forkMode() == ForkMode.DROP) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_BINDING_WIDENED,
            "copies inherit no placeholder of the secret %s; widening needs the value again"
                .formatted(present.name()));
      }
      limits.ifPresent(present.limits()::checkNarrower);
      return next(
          present,
          present.value(),
          present.version(),
          left,
          limits.orElse(present.limits()),
          present.weak(),
          mode,
          present.oauth(),
          now);
    }
  }

  /** Takes bindings or inheritance away; never adds to them. */
  public Secret narrow(String tenant, String name, String etag, Narrowing narrowing, String actor) {
    return change(
        tenant,
        name,
        (tx, present) -> {
          checkEtag(present, etag);
          return narrowing.of(present, clock.instant());
        },
        "narrowed",
        actor);
  }

  /** By name, after one. */
  public List<Secret> list(String tenant, String after, int limit) {
    return database.transact(tx -> SecretRows.list(tx, tenant, after, limit));
  }

  /** Ends every grant of it with the commit, then forgets the value. */
  public void delete(String tenant, String name, String actor) {
    Secret gone =
        database.transact(tx -> {
          Secret present =
              SecretRows.find(tx, tenant, SecretRules.checkName(name), Lock.UPDATE)
                  .orElseThrow(() -> notFound(name));
          dependents.deleted(tx, present.id());
          SecretRows.garbage(tx, present.key(), clock.instant());
          tx.update("delete from secret where id = ?", present.id());
          audit.append(tx, List.of(row(present, "deleted", actor)));
          return present;
        });
    forget(gone.key());
    // Its own value alone: what else is due is not for this caller to wait for.
    discard(gone.key());
  }

  /** Takes values out of the store that nothing refers to any more. */
  public void sweep() {
    List<SecretKey> due =
        database.transact(tx -> SecretRows.garbageDue(tx, clock.instant(), SWEEP));
    due.forEach(this::discard);
  }

  private void discard(SecretKey key) {
    try {
      store.delete(key);
      var _ = database.transact(tx -> SecretRows.ungarbage(tx, key));
    } catch (StoreUnavailableException | Refusal e) {
      // It stays noted and is tried again.
      log.atWarn()
          .setMessage("value_not_deleted")
          .addKeyValue("secret", key)
          .addKeyValue("why", e.getMessage())
          .log();
    }
  }

  private Secret store(
      Secret planned, Optional<Secret> present, SecretValue value, String what, String actor) {
    SecretKey key = planned.key();
    database.transact(tx -> {
      SecretRows.garbage(tx, key, clock.instant().plus(UNFINISHED));
      return key;
    });
    try {
      store.put(key, value);
    } catch (StoreUnavailableException e) {
      // It may have been taken all the same: the note of it stays, and the sweep removes it.
      throw new Refusal(
          ErrorReason.ERROR_REASON_STORE_UNAVAILABLE,
          "the secret %s is as it was, for its value cannot be stored: %s"
              .formatted(planned.name(), e.getMessage()));
    }
    Secret stored =
        database.transact(tx -> {
          Optional<Secret> now = SecretRows.find(tx, planned.tenant(), planned.name(), Lock.UPDATE);
          if (!now.map(Secret::etag).equals(present.map(Secret::etag))) {
            throw now.isPresent() && present.isEmpty()
                ? exists(planned.name())
                : changedMeanwhile(planned.name());
          }
          if (present.isPresent()) {
            // A rotation is never held up by what was in force before it.
            if (!planned.bindings().equals(present.get().bindings())) {
              dependents.checkBindings(tx, planned);
            }
            SecretRows.update(tx, planned);
            SecretRows.garbage(tx, present.get().key(), clock.instant().plus(REPLACED));
            dependents.changed(tx, planned);
          } else {
            SecretRows.insert(tx, planned);
          }
          if (!SecretRows.ungarbage(tx, key)) {
            throw changedMeanwhile(planned.name());
          }
          audit.append(tx, List.of(row(planned, what, actor)));
          return planned;
        });
    present.ifPresent(old -> forget(old.key()));
    return stored;
  }

  private void forget(SecretKey key) {
    cache.forget(key);
    tokens.forget(key);
  }

  /**
   * Forgets access tokens of values that are in force no more, or that no sandbox may use: what
   * another broker changed too.
   */
  public void sweepTokens() {
    Set<SecretKey> keys = tokens.keys();
    if (keys.isEmpty()) {
      return;
    }
    Set<UUID> used =
        database.transact(
            tx -> Set.copyOf(SecretRows.inUse(tx, keys.stream().map(SecretKey::value).toList())));
    keys.stream().filter(key -> !used.contains(key.value())).forEach(tokens::forget);
  }

  private Secret change(
      String tenant, String name, BiFunction<Tx, Secret, Secret> next, String what, String actor) {
    return database.transact(tx -> {
      Secret present =
          SecretRows.find(tx, tenant, SecretRules.checkName(name), Lock.UPDATE)
              .orElseThrow(() -> notFound(name));
      Secret changed = next.apply(tx, present);
      SecretRows.update(tx, changed);
      dependents.changed(tx, changed);
      audit.append(tx, List.of(row(changed, what, actor)));
      return changed;
    });
  }

  private Secret nextValue(
      Secret old,
      List<Binding> bindings,
      UseLimits limits,
      boolean weak,
      ForkMode forkMode,
      Optional<OAuth> oauth) {
    return next(
        old,
        UUID.randomUUID(),
        old.version() + 1,
        bindings,
        limits,
        weak,
        forkMode,
        oauth,
        clock.instant());
  }

  private static Secret next(
      Secret old,
      UUID value,
      long version,
      List<Binding> bindings,
      UseLimits limits,
      boolean weak,
      ForkMode forkMode,
      Optional<OAuth> oauth,
      Instant now) {
    return new Secret(
        old.id(),
        value,
        old.tenant(),
        old.name(),
        version,
        old.revision() + 1,
        weak,
        forkMode,
        bindings,
        limits,
        old.shape(),
        oauth,
        old.createTime(),
        now);
  }

  private AuditRow row(Secret secret, String what, String actor) {
    return new AuditRow(
        secret.tenant(),
        AuditEvent.newBuilder()
            .setType(AuditEventType.AUDIT_EVENT_TYPE_CHANGE)
            .setTime(AuditTexts.timestamp(clock.instant()))
            .setSecret(secret.name())
            .setVerdict(Verdict.VERDICT_ALLOWED)
            .setReportedBy("broker")
            .setMessage(
                "secret %s by token %s, version %d".formatted(what, actor, secret.version()))
            .build());
  }

  private static void checkEtag(Secret present, String etag) {
    if (!etag.isEmpty() && !etag.equals(present.etag())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_ETAG_MISMATCH,
          "the secret %s has the etag %s, not the one given"
              .formatted(present.name(), present.etag()));
    }
  }

  private static Refusal exists(String name) {
    return new Refusal(
        ErrorReason.ERROR_REASON_SECRET_EXISTS,
        "a secret %s exists; rotate it or set replace".formatted(name));
  }

  private static Refusal notFound(String name) {
    return new Refusal(
        ErrorReason.ERROR_REASON_SECRET_NOT_FOUND, "there is no secret '%s'".formatted(name));
  }

  private static Refusal changedMeanwhile(String name) {
    return new Refusal(
        ErrorReason.ERROR_REASON_ETAG_MISMATCH,
        "the secret %s was changed by another call meanwhile; try again".formatted(name));
  }
}
