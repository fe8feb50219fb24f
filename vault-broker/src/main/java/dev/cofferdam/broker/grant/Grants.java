package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.AuditRow;
import dev.cofferdam.broker.ca.CertificateAuthority;
import dev.cofferdam.broker.catalog.ForkMode;
import dev.cofferdam.broker.catalog.Secret;
import dev.cofferdam.broker.catalog.SecretRows;
import dev.cofferdam.broker.catalog.Secrets;
import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.Policies;
import dev.cofferdam.broker.policy.Policy;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.ErrorReason;
import java.security.SecureRandom;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * Grants of secrets to sandboxes, their policies and tickets: what the scheduler asks for with its
 * caller's token. Whatever a call changes is one transaction.
 */
public final class Grants implements Secrets.Dependents {
  private final Database database;
  private final AuditLog audit;
  private final InstantSource clock;
  private final Signal news;
  private final RandomTokens tokens;
  private final Tickets tickets;
  private final Lineages lineages;

  /**
   * @param news raised with every change that a gateway has to know of
   */
  public Grants(
      Database database,
      AuditLog audit,
      CertificateAuthority authority,
      Signal news,
      InstantSource clock,
      SecureRandom random) {
    this.database = database;
    this.audit = audit;
    this.clock = clock;
    this.news = news;
    this.tokens = new RandomTokens(random);
    this.tickets = new Tickets(tokens, clock);
    this.lineages = new Lineages(authority, tokens, clock);
  }

  /** A policy revision and the sequences that stand for it at the gateways concerned. */
  public record Revision(long number, Map<String, Long> sequences) {
    public Revision {
      sequences = Map.copyOf(sequences);
    }
  }

  /**
   * Grants to a new sandbox, under a new lineage or, where it is a copy, its origin's. For one that
   * is known, new placeholders and a new ticket take the place of the old, which are dead from the
   * commit on.
   */
  public Granted create(String tenant, SandboxGrants wanted, EgressPolicy policy) {
    Policy checked = Policies.of(policy);
    return database.transact(tx -> {
      Optional<Sandbox> origin = origin(tx, tenant, wanted);
      Optional<Sandbox> known = Sandbox.lock(tx, wanted.sandbox());
      Sandbox sandbox =
          known.isPresent()
              ? again(tx, known.get(), tenant, wanted, policy, origin)
              : begin(tx, tenant, wanted, policy, origin);
      Map<String, String> placeholders = new LinkedHashMap<>();
      List<AuditRow> rows = new ArrayList<>();
      for (Grant grant : grants(tx, sandbox, wanted, checked, placeholders)) {
        Grant.insert(tx, grant);
        rows.add(withSecret(sandbox, grant, wanted));
      }
      rows.add(
          Records.change(
              clock.instant(),
              tenant,
              sandbox.id(),
              "policy revision %d, generation %d, node %s"
                  .formatted(sandbox.policyRevision(), sandbox.generation(), sandbox.node())));
      String ticket = tickets.issue(tx, sandbox);
      String root = Lineages.pem(Lineages.read(tx, sandbox.lineage()));
      audit.append(tx, rows);
      tx.afterCommit(news::raise);
      return new Granted(
          placeholders, ticket, root, sandbox.policyRevision(), sandbox.generation());
    });
  }

  /** Replaces a sandbox's policy. In force at a gateway once it acknowledged the sequence. */
  public Revision updatePolicy(String tenant, String id, EgressPolicy policy) {
    Policy checked = Policies.of(policy);
    return database.transact(tx -> {
      Sandbox sandbox =
          live(Sandbox.lock(tx, id).filter(found -> found.tenant().equals(tenant)), id);
      checked.checkAgainst(bindings(tx, sandbox));
      long revision = sandbox.policyRevision() + 1;
      tx.update(
          "update sandbox set policy = ?, policy_revision = ? where id = ?",
          policy.toByteArray(),
          revision,
          id);
      Map<String, Long> sequences = Places.changed(tx, Places.live(tx, id));
      audit.append(
          tx, List.of(Records.change(clock.instant(), tenant, id, "policy revision " + revision)));
      tx.afterCommit(news::raise);
      return new Revision(revision, sequences);
    });
  }

  /** A policy and its revision. */
  public record InForce(EgressPolicy policy, long revision) {}

  /** Once no update of it is under way. */
  public InForce policy(String id) {
    return database.transact(tx -> {
      Sandbox sandbox = live(Sandbox.lock(tx, id), id);
      return new InForce(sandbox.policy(), sandbox.policyRevision());
    });
  }

  /** A ticket for the sandbox's present generation. Fences off every lower epoch. */
  public String issueTicket(String id, String node, long epoch) {
    SandboxGrants.checkNode(node);
    SandboxGrants.checkEpoch(epoch);
    return database.transact(tx -> {
      Sandbox sandbox = live(Sandbox.lock(tx, id), id);
      checkEpoch(sandbox, epoch);
      tx.update("update sandbox set epoch = ?, node = ? where id = ?", epoch, node, id);
      Sandbox moved =
          new Sandbox(
              id,
              sandbox.tenant(),
              sandbox.lineage(),
              sandbox.generation(),
              epoch,
              node,
              sandbox.policy(),
              sandbox.policyRevision(),
              false);
      String ticket = tickets.issue(tx, moved);
      audit.append(
          tx,
          List.of(
              Records.change(
                  clock.instant(),
                  sandbox.tenant(),
                  id,
                  "ticket for node %s, epoch %d".formatted(node, epoch))));
      return ticket;
    });
  }

  /** Ends everything of a sandbox. One that is not known has ended already. */
  public void revoke(String id) {
    database.transact(tx -> {
      Optional<Sandbox> found = Sandbox.lock(tx, id).filter(sandbox -> !sandbox.revoked());
      if (found.isPresent()) {
        Sandbox sandbox = found.get();
        tx.update("update sandbox set revoke_time = ? where id = ?", clock.instant(), id);
        Grant.revokeOf(tx, id);
        var _ = Places.detached(tx, Places.live(tx, id));
        audit.append(
            tx,
            List.of(Records.change(clock.instant(), sandbox.tenant(), id, "all grants revoked")));
        tx.afterCommit(news::raise);
      }
      return id;
    });
  }

  @Override
  public void checkBindings(Tx tx, Secret wanted) throws SQLException {
    for (Sandbox sandbox : Sandbox.withSecret(tx, wanted.id())) {
      Optional<String> problem = Policies.of(sandbox.policy()).passedThrough(wanted.bindings());
      if (problem.isPresent()) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_BINDING_INVALID,
            "sandbox %s has the secret: %s".formatted(sandbox.id(), problem.get()));
      }
    }
  }

  @Override
  public void changed(Tx tx, Secret present) throws SQLException {
    if (present.forkMode() == ForkMode.DROP) {
      Grant.disinherit(tx, present.id());
    }
    var _ = Places.changed(tx, Places.liveWithSecret(tx, present.id()));
    tx.afterCommit(news::raise);
  }

  @Override
  public void deleted(Tx tx, UUID secret) throws SQLException {
    List<Places.Place> places = Places.liveWithSecret(tx, secret);
    tx.list(
        "select id from secret_grant where secret = ? and not revoked order by id for update",
        row -> row.getString(1),
        secret);
    tx.update("update secret_grant set revoked = true where secret = ? and not revoked", secret);
    var _ = Places.changed(tx, places);
    tx.afterCommit(news::raise);
  }

  private static Optional<Sandbox> origin(Tx tx, String tenant, SandboxGrants wanted)
      throws SQLException {
    return wanted.origin().isPresent()
        ? Optional.of(Copies.origin(tx, tenant, wanted.origin().get()))
        : Optional.empty();
  }

  /** Fresh ones for all wishes. */
  private List<Grant> grants(
      Tx tx, Sandbox sandbox, SandboxGrants wanted, Policy policy, Map<String, String> placeholders)
      throws SQLException {
    Map<UUID, Secret> secrets = new HashMap<>();
    List<Grant> own = new ArrayList<>();
    for (SandboxGrants.Wish wish : wanted.wishes()) {
      Secret secret = granted(tx, sandbox.tenant(), wish);
      policy.checkAgainst(secret.bindings());
      secrets.put(secret.id(), secret);
      String placeholder = tokens.placeholder();
      placeholders.put(wish.env(), placeholder);
      own.add(
          new Grant(
              tokens.id("gr-"),
              sandbox.id(),
              sandbox.generation(),
              secret.id(),
              secret.name(),
              wish.env(),
              ByteString.copyFrom(RandomTokens.hash(placeholder)),
              List.of(),
              false));
    }
    if (wanted.origin().isEmpty()) {
      return own;
    }
    SandboxGrants.Origin origin = wanted.origin().get();
    return Copies.inherit(
        own, secrets, Grant.ofGeneration(tx, origin.sandbox(), origin.generation()));
  }

  private Sandbox begin(
      Tx tx, String tenant, SandboxGrants wanted, EgressPolicy policy, Optional<Sandbox> origin)
      throws SQLException {
    String lineage =
        origin.isPresent() ? origin.get().lineage() : lineages.begin(tx, tenant).lineage();
    int inserted =
        tx.update(
            "insert into sandbox (id, tenant, lineage, generation, epoch, node, policy,"
                + " policy_revision, create_time) values (?, ?, ?, 1, ?, ?, ?, 1, ?)"
                + " on conflict do nothing",
            wanted.sandbox(),
            tenant,
            lineage,
            wanted.epoch(),
            wanted.node(),
            policy.toByteArray(),
            clock.instant());
    if (inserted == 0) {
      // Another call made it since we looked: begin again, as the second one.
      throw new SQLException("sandbox came into being meanwhile", "40001");
    }
    return Sandbox.lock(tx, wanted.sandbox()).orElseThrow();
  }

  private Sandbox again(
      Tx tx,
      Sandbox known,
      String tenant,
      SandboxGrants wanted,
      EgressPolicy policy,
      Optional<Sandbox> origin)
      throws SQLException {
    live(Optional.of(known).filter(found -> found.tenant().equals(tenant)), known.id());
    if (origin.isPresent() && !origin.get().lineage().equals(known.lineage())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "sandbox %s is of another lineage than %s and so no copy of it"
              .formatted(known.id(), origin.get().id()));
    }
    checkEpoch(known, wanted.epoch());
    Grant.revokeOf(tx, known.id());
    var _ = Places.detached(tx, Places.live(tx, known.id()));
    tx.update(
        "update sandbox set generation = generation + 1, epoch = ?, node = ?, policy = ?,"
            + " policy_revision = policy_revision + 1 where id = ?",
        wanted.epoch(),
        wanted.node(),
        policy.toByteArray(),
        known.id());
    return Sandbox.lock(tx, known.id()).orElseThrow();
  }

  private static Secret granted(Tx tx, String tenant, SandboxGrants.Wish wish) throws SQLException {
    return SecretRows.find(tx, tenant, wish.secret(), SecretRows.Lock.SHARE)
        .orElseThrow(() ->
            new Refusal(
                ErrorReason.ERROR_REASON_SECRET_NOT_FOUND,
                "there is no secret '%s'".formatted(wish.secret())));
  }

  /** Held against change, as {@link #checkBindings} expects of whoever changes a policy. */
  private static List<Binding> bindings(Tx tx, Sandbox sandbox) throws SQLException {
    return SecretRows.byId(
            tx, Grant.live(tx, sandbox).stream().map(Grant::secret).toList(), SecretRows.Lock.SHARE)
        .values()
        .stream()
        .flatMap(secret -> secret.bindings().stream())
        .toList();
  }

  private AuditRow withSecret(Sandbox sandbox, Grant grant, SandboxGrants wanted) {
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

  /** Another tenant's sandbox is as unknown as one that never was. */
  private static Sandbox live(Optional<Sandbox> found, String id) {
    Sandbox sandbox =
        found.orElseThrow(() ->
            new Refusal(
                ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
                "the broker knows no sandbox '%s'".formatted(id)));
    if (sandbox.revoked()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_GRANT_REVOKED,
          "the grants of sandbox %s were revoked for good".formatted(id));
    }
    return sandbox;
  }

  private static void checkEpoch(Sandbox sandbox, long epoch) {
    if (epoch < sandbox.epoch()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_STALE_EPOCH,
          "epoch %d of sandbox %s is over, expected at least %d"
              .formatted(epoch, sandbox.id(), sandbox.epoch()));
    }
  }
}
