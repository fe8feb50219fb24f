package dev.cofferdam.broker.proposal;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.Cursor;
import dev.cofferdam.broker.grant.Grants;
import dev.cofferdam.broker.policy.Policy;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.PolicyProposal;
import dev.cofferdam.v1.ProposedRule;
import java.util.Optional;
import java.util.function.Supplier;

/** From the audit of a sandbox to the policy that it needs. */
public final class Proposals {
  static final int MAX_EVENTS = 100_000;
  private static final int PAGE = 1000;

  /** A policy has at most so many bytes; the rest is for the sandbox's own later rules. */
  private static final int MAX_BYTES = 240 << 10;

  private final Grants grants;
  private final AuditLog audit;

  public Proposals(Grants grants, AuditLog audit) {
    this.grants = grants;
    this.audit = audit;
  }

  /** Has one page read when it is its turn. */
  @FunctionalInterface
  public interface Turns {
    <T> T read(Supplier<T> reading) throws InterruptedException;
  }

  /** For a sandbox of the tenant, also after its end. */
  public PolicyProposal propose(String tenant, String sandbox, Turns turns)
      throws InterruptedException {
    Grants.InForce inForce = turns.read(() -> grants.policy(tenant, sandbox));
    Seen seen = new Seen();
    AuditLog.Filter decisions =
        new AuditLog.Filter(
            Optional.of(sandbox),
            Optional.of(AuditEventType.AUDIT_EVENT_TYPE_DECISION),
            Optional.empty());
    Cursor last = Cursor.parse("");
    int read = 0;
    boolean more = true;
    while (more && read < MAX_EVENTS) {
      Cursor after = last;
      AuditLog.Page page = turns.read(() -> audit.read(tenant, after, decisions, PAGE));
      page.events().forEach(seen::add);
      read += page.events().size();
      more = page.more();
      last = page.last();
    }
    return proposal(inForce.policy(), seen).toBuilder()
        .setPolicyRevision(inForce.revision())
        .setIncomplete(more)
        .build();
  }

  static PolicyProposal proposal(EgressPolicy present, Seen seen) {
    EgressPolicy.Builder policy = present.toBuilder().setMode(PolicyMode.POLICY_MODE_ENFORCE);
    PolicyProposal.Builder proposal = PolicyProposal.newBuilder();
    long requests = 0;
    long leftOut = seen.leftOut();
    int bytes = present.getSerializedSize();
    for (ProposedRule rule : RuleSet.of(seen.places())) {
      if (present.getRulesList().contains(rule.getRule())) {
        // Of an earlier proposal that was accepted.
        continue;
      }
      // A field's number and length before it.
      int size = rule.getRule().getSerializedSize() + 8;
      if (policy.getRulesCount() >= Policy.MAX_RULES || bytes + size > MAX_BYTES) {
        leftOut += rule.getRequests();
        continue;
      }
      bytes += size;
      requests += rule.getRequests();
      policy.addRules(rule.getRule());
      proposal.addRules(rule);
    }
    return proposal
        .setPolicy(policy)
        .addAllRefused(seen.refused())
        .setRequests(requests)
        .setRequestsLeftOut(leftOut)
        .build();
  }
}
