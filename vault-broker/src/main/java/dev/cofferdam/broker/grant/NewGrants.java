package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.AuditRow;
import dev.cofferdam.broker.ca.LineageRoot;
import dev.cofferdam.broker.ca.RootReservoir;
import dev.cofferdam.broker.catalog.Secret;
import dev.cofferdam.broker.catalog.SecretRows;
import dev.cofferdam.broker.policy.Policies;
import dev.cofferdam.broker.policy.Policy;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.ErrorReason;
import java.sql.SQLException;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/** The first thing that the broker hears of a sandbox, and each repeat of it. One transaction. */
public final class NewGrants {
  private final Database database;
  private final AuditLog audit;
  private final RootReservoir roots;
  private final Signal news;
  private final InstantSource clock;
  private final RandomTokens tokens;
  private final Tickets tickets;

  /**
   * @param news raised with every change that a gateway has to know of
   */
  public NewGrants(
      Database database,
      AuditLog audit,
      RootReservoir roots,
      Signal news,
      InstantSource clock,
      RandomTokens tokens) {
    this.database = database;
    this.audit = audit;
    this.roots = roots;
    this.news = news;
    this.clock = clock;
    this.tokens = tokens;
    this.tickets = new Tickets(tokens, clock);
  }

  /**
   * Grants to a new sandbox, under a new lineage or, where it is a copy, its origin's. For one that
   * is known, new placeholders and a new ticket take the place of the old, which are dead from the
   * commit on.
   */
  public Granted create(String tenant, SandboxGrants wanted, EgressPolicy policy) {
    Policy checked = Policies.of(policy);
    return database.transact(tx -> {
      Optional<Sandbox> origin =
          wanted.origin().isPresent()
              ? Optional.of(Copies.origin(tx, tenant, wanted.origin().get()))
              : Optional.empty();
      Optional<Sandbox> known = Sandbox.lock(tx, wanted.sandbox());
      Sandbox sandbox =
          known.isPresent()
              ? again(tx, known.get(), tenant, wanted, policy, origin)
              : begin(tx, tenant, wanted, policy, origin);
      Map<String, String> placeholders = new LinkedHashMap<>();
      List<Grant> grants = grants(tx, sandbox, wanted, checked, placeholders);
      Grant.insertAll(tx, grants);
      String ticket = tickets.issue(tx, sandbox);
      audit.append(tx, rows(sandbox, grants, wanted));
      // Nobody has to hear of a sandbox that is attached nowhere.
      if (known.isPresent()) {
        tx.afterCommit(news::raise);
      }
      return new Granted(
          placeholders,
          ticket,
          Lineages.pem(sandbox.root()),
          sandbox.policyRevision(),
          sandbox.generation());
    });
  }

  /**
   * An egress session, so far attached nowhere.
   *
   * @param token by which explicit proxies know it
   * @param placeholders is filled in
   */
  Sandbox beginSession(
      Tx tx,
      String tenant,
      SandboxGrants wanted,
      EgressPolicy policy,
      String token,
      Instant expires,
      Map<String, String> placeholders)
      throws SQLException {
    Sandbox sandbox = begin(tx, tenant, wanted, policy, Optional.empty());
    tx.update(
        "update sandbox set proxy_token_sha256 = ?, expire_time = ? where id = ?",
        RandomTokens.hash(token),
        expires,
        sandbox.id());
    List<Grant> grants = grants(tx, sandbox, wanted, Policies.of(policy), placeholders);
    Grant.insertAll(tx, grants);
    audit.append(tx, rows(sandbox, grants, wanted));
    return sandbox;
  }

  /** Fresh ones for all wishes. */
  private List<Grant> grants(
      Tx tx, Sandbox sandbox, SandboxGrants wanted, Policy policy, Map<String, String> placeholders)
      throws SQLException {
    Map<String, Secret> secrets = secrets(tx, sandbox.tenant(), wanted);
    Map<UUID, Secret> byId = new HashMap<>();
    List<Grant> own = new ArrayList<>();
    for (SandboxGrants.Wish wish : wanted.wishes()) {
      Secret secret = secrets.get(wish.secret());
      if (secret == null) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_SECRET_NOT_FOUND,
            "there is no secret '%s'".formatted(wish.secret()));
      }
      policy.checkAgainst(secret.bindings());
      byId.put(secret.id(), secret);
      RandomTokens.Placeholder placeholder = tokens.placeholder(secret.shape());
      placeholders.put(wish.env(), placeholder.whole());
      own.add(
          new Grant(
              tokens.id("gr-"),
              sandbox.id(),
              sandbox.generation(),
              secret.id(),
              secret.name(),
              wish.env(),
              ByteString.copyFrom(RandomTokens.hash(placeholder.core())),
              List.of(),
              false));
    }
    if (wanted.origin().isEmpty()) {
      return own;
    }
    SandboxGrants.Origin origin = wanted.origin().get();
    return Copies.inherit(own, byId, Grant.ofGeneration(tx, origin.sandbox(), origin.generation()));
  }

  private static Map<String, Secret> secrets(Tx tx, String tenant, SandboxGrants wanted)
      throws SQLException {
    List<String> names =
        wanted.wishes().stream().map(SandboxGrants.Wish::secret).distinct().toList();
    return names.isEmpty() ? Map.of() : SecretRows.byName(tx, tenant, names, SecretRows.Lock.SHARE);
  }

  private Sandbox begin(
      Tx tx, String tenant, SandboxGrants wanted, EgressPolicy policy, Optional<Sandbox> origin)
      throws SQLException {
    String lineage;
    ByteString root;
    if (origin.isPresent()) {
      lineage = origin.get().lineage();
      root = origin.get().root();
    } else {
      LineageRoot made = roots.take(tenant);
      Lineages.insert(tx, made, clock.instant());
      lineage = made.lineage();
      root = made.certificate();
    }
    int inserted =
        tx.update(
            "insert into sandbox (id, tenant, lineage, generation, epoch, node, policy, learns,"
                + " policy_revision, create_time) values (?, ?, ?, 1, ?, ?, ?, ?, 1, ?)"
                + " on conflict do nothing",
            wanted.sandbox(),
            tenant,
            lineage,
            wanted.epoch(),
            wanted.node(),
            policy.toByteArray(),
            Sandbox.learns(policy),
            clock.instant());
    if (inserted == 0) {
      // Another call made it since we looked: begin again, as the second one.
      throw new SQLException("sandbox came into being meanwhile", "40001");
    }
    return new Sandbox(
        wanted.sandbox(),
        tenant,
        lineage,
        root,
        1,
        wanted.epoch(),
        wanted.node(),
        policy,
        1,
        false,
        Optional.empty());
  }

  private static Sandbox again(
      Tx tx,
      Sandbox known,
      String tenant,
      SandboxGrants wanted,
      EgressPolicy policy,
      Optional<Sandbox> origin)
      throws SQLException {
    Grants.live(Optional.of(known).filter(found -> found.tenant().equals(tenant)), known.id());
    if (origin.isPresent() && !origin.get().lineage().equals(known.lineage())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "sandbox %s is of another lineage than %s and so no copy of it"
              .formatted(known.id(), origin.get().id()));
    }
    Grants.checkEpoch(known, wanted.epoch());
    Grant.revokeOf(tx, known.id());
    var _ = Places.detached(tx, Places.live(tx, known.id()));
    tx.update(
        "update sandbox set generation = generation + 1, epoch = ?, node = ?, policy = ?,"
            + " learns = ?, policy_revision = policy_revision + 1 where id = ?",
        wanted.epoch(),
        wanted.node(),
        policy.toByteArray(),
        Sandbox.learns(policy),
        known.id());
    return Sandbox.lock(tx, known.id()).orElseThrow();
  }

  private List<AuditRow> rows(Sandbox sandbox, List<Grant> grants, SandboxGrants wanted) {
    List<AuditRow> rows = new ArrayList<>();
    grants.forEach(grant -> rows.add(row(sandbox, grant, wanted)));
    rows.add(
        Records.change(
            clock.instant(),
            sandbox.tenant(),
            sandbox.id(),
            "policy revision %d, generation %d, node %s"
                .formatted(sandbox.policyRevision(), sandbox.generation(), sandbox.node())));
    return rows;
  }

  private AuditRow row(Sandbox sandbox, Grant grant, SandboxGrants wanted) {
    String inherited =
        grant.inherited().isEmpty()
            ? ""
            : ", answers to %d inherited from %s"
                .formatted(
                    grant.inherited().size(),
                    wanted.origin().map(SandboxGrants.Origin::sandbox).orElse(""));
    AuditRow row =
        Records.change(
            clock.instant(),
            sandbox.tenant(),
            sandbox.id(),
            "granted as $" + grant.env() + inherited);
    return new AuditRow(
        row.tenant(), row.event().toBuilder().setSecret(grant.secretName()).build());
  }
}
