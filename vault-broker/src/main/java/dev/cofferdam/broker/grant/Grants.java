package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.audit.AuditLog;
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
import dev.cofferdam.v1.PolicyMode;
import java.sql.SQLException;
import java.time.InstantSource;
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
  private final Tickets tickets;

  /**
   * @param news raised with every change that a gateway has to know of
   */
  public Grants(
      Database database, AuditLog audit, Signal news, InstantSource clock, RandomTokens tokens) {
    this.database = database;
    this.audit = audit;
    this.clock = clock;
    this.news = news;
    this.tickets = new Tickets(tokens, clock);
  }

  /** A policy revision and the sequences that stand for it at the gateways concerned. */
  public record Revision(long number, Map<String, Long> sequences) {
    public Revision {
      sequences = Map.copyOf(sequences);
    }
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
          "update sandbox set policy = ?, learns = ?, policy_revision = ? where id = ?",
          policy.toByteArray(),
          Sandbox.learns(policy),
          revision,
          id);
      Map<String, Long> sequences = Places.changed(tx, Places.live(tx, id));
      audit.append(
          tx, List.of(Records.change(clock.instant(), tenant, id, "policy revision " + revision)));
      tx.afterCommit(news::raise);
      return new Revision(revision, sequences);
    });
  }

  /**
   * Puts every policy that learns back into mode ENFORCE: what its rules allow, and no more. The
   * tenant's record at the scheduler shows it with the next update.
   *
   * @return how many there were
   */
  public int endLearning() {
    record Learner(String tenant, String id) {}

    List<Learner> learners =
        database.transact(tx -> Sandbox.live(tx)).stream()
            .filter(Sandbox::learns)
            .map(sandbox -> new Learner(sandbox.tenant(), sandbox.id()))
            .toList();
    for (Learner learner : learners) {
      try {
        EgressPolicy learning = policy(learner.id()).policy();
        var _ =
            updatePolicy(
                learner.tenant(),
                learner.id(),
                learning.toBuilder().setMode(PolicyMode.POLICY_MODE_ENFORCE).build());
      } catch (Refusal e) {
        if (e.reason() != ErrorReason.ERROR_REASON_GRANT_REVOKED) {
          throw e;
        }
        // It has ended meanwhile.
      }
    }
    return learners.size();
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

  /** The tenant's own sandbox's, also after its end. */
  public InForce policy(String tenant, String id) {
    Sandbox sandbox =
        database
            .look(tx -> Sandbox.read(tx, id))
            .filter(found -> found.tenant().equals(tenant))
            .orElseThrow(() -> unknown(id));
    return new InForce(sandbox.policy(), sandbox.policyRevision());
  }

  /** A ticket for the sandbox's present generation. Fences off every lower epoch. */
  public String issueTicket(String id, String node, long epoch) {
    SandboxGrants.checkNode(node);
    SandboxGrants.checkEpoch(epoch);
    return database.transact(tx -> {
      Sandbox sandbox = live(Sandbox.lock(tx, id), id);
      checkEpoch(sandbox, epoch);
      tx.update("update sandbox set epoch = ?, node = ? where id = ?", epoch, node, id);
      Sandbox moved = sandbox.at(node, epoch);
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
      Optional<Sandbox> found =
          Sandbox.lock(tx, id).filter(sandbox -> !sandbox.revoked() && sandbox.session().isEmpty());
      if (found.isPresent()) {
        end(tx, found.get());
      }
      return id;
    });
  }

  /**
   * @param sandbox locked, and not revoked yet
   */
  void end(Tx tx, Sandbox sandbox) throws SQLException {
    String id = sandbox.id();
    tx.update("update sandbox set revoke_time = ? where id = ?", clock.instant(), id);
    Grant.revokeOf(tx, id);
    var _ = Places.detached(tx, Places.live(tx, id));
    audit.append(
        tx, List.of(Records.change(clock.instant(), sandbox.tenant(), id, "all grants revoked")));
    tx.afterCommit(news::raise);
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

  /** Held against change, as {@link #checkBindings} expects of whoever changes a policy. */
  private static List<Binding> bindings(Tx tx, Sandbox sandbox) throws SQLException {
    return SecretRows.byId(
            tx,
            Grant.live(tx, List.of(sandbox.id())).stream().map(Grant::secret).toList(),
            SecretRows.Lock.SHARE)
        .values()
        .stream()
        .flatMap(secret -> secret.bindings().stream())
        .toList();
  }

  /**
   * Another tenant's sandbox is as unknown as one that never was, and so is an egress session: the
   * scheduler, whom its tenant did not ask, could move it to a node.
   */
  static Sandbox live(Optional<Sandbox> found, String id) {
    Sandbox sandbox =
        found.filter(known -> known.session().isEmpty()).orElseThrow(() -> unknown(id));
    if (sandbox.revoked()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_GRANT_REVOKED,
          "the grants of sandbox %s were revoked for good".formatted(id));
    }
    return sandbox;
  }

  private static Refusal unknown(String id) {
    return new Refusal(
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
        "the broker knows no sandbox '%s'".formatted(id));
  }

  static void checkEpoch(Sandbox sandbox, long epoch) {
    if (epoch < sandbox.epoch()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_STALE_EPOCH,
          "epoch %d of sandbox %s is over, expected at least %d"
              .formatted(epoch, sandbox.id(), sandbox.epoch()));
    }
  }
}
