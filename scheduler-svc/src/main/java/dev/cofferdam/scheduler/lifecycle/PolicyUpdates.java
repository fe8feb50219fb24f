package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.broker.BrokerClient;
import dev.cofferdam.scheduler.broker.BrokerClient.PolicyInForce;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.store.PolicyUpdateStore;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Changes of policies. The broker judges a policy, hands it to the gateways and numbers it; here it
 * is only kept. That an update was begun is on record before the broker is asked, and stays there
 * until its outcome is: where the answer is lost, the broker is asked what is in force. Safe for
 * use by several threads.
 */
public final class PolicyUpdates implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(PolicyUpdates.class);

  /** Longer than the broker can still be at an update whose caller gave up. */
  private static final Duration LATEST = Duration.ofSeconds(30);

  private static final Duration TURN = Duration.ofSeconds(15);

  private final SandboxStore sandboxes;
  private final PolicyUpdateStore begun;
  private final Sandboxes tenants;
  private final BrokerClient broker;
  private final InstantSource clock;
  private final Turns turns = new Turns();
  private final Backlog backlog = new Backlog(8);

  PolicyUpdates(
      SandboxStore sandboxes,
      PolicyUpdateStore begun,
      Sandboxes tenants,
      BrokerClient broker,
      InstantSource clock) {
    this.sandboxes = sandboxes;
    this.begun = begun;
    this.tenants = tenants;
    this.broker = broker;
    this.clock = clock;
  }

  /**
   * Updates of one sandbox go one after the other, so that an etag is judged on the record that it
   * replaces. An empty etag stands for any.
   */
  public Sandbox update(String tenant, String token, String id, EgressPolicy policy, String etag) {
    // Also for another tenant's: nobody takes turns on what is not his own.
    var _ = tenants.live(tenant, id, etag);
    try {
      return turns
          .take(id, TURN, () -> updated(tenant, token, id, policy, etag))
          .orElseThrow(() ->
              new Refusal(
                  ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE,
                  "another update of " + id + " has been under way for " + TURN));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, "the scheduler is stopping");
    }
  }

  /** Looks after the updates whose answer was lost, in the background. */
  void settle() {
    Instant before = clock.instant().minus(LATEST);
    for (String id : begun.begunBefore(before)) {
      backlog.add(
          id,
          () -> {
            if (readBack(id)) {
              begun.endBefore(id, before);
            }
          });
    }
  }

  @Override
  public void close() {
    backlog.close();
  }

  private Sandbox updated(
      String tenant, String token, String id, EgressPolicy policy, String etag) {
    Sandbox sandbox = tenants.live(tenant, id, etag);
    Instant now = now();
    begun.begin(id, now);
    long revision;
    try {
      revision = broker.updatePolicy(token, sandbox.id(), policy);
    } catch (StatusRuntimeException e) {
      if (refused(e)) {
        begun.end(id, now);
      } else if (Refusals.reason(e)
          .equals(Optional.of(ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE))) {
        // It is in force all the same.
        var _ = readBack(id);
      }
      throw e;
    }
    Sandbox kept = keep(tenants.live(tenant, id, ""), new PolicyInForce(policy, revision));
    begun.end(id, now);
    return kept;
  }

  /** False where the broker could not be asked. Never throws. */
  private boolean readBack(String id) {
    try {
      Optional<Sandbox> sandbox = sandboxes.find(id).filter(PolicyUpdates::isLive);
      if (sandbox.isPresent()) {
        var _ = keep(sandbox.get(), broker.policy(id));
      }
      return true;
    } catch (RuntimeException e) {
      if (refused(e)) {
        // The broker holds to nothing of it.
        return true;
      }
      log.atWarn()
          .setMessage("policy_not_read_back")
          .addKeyValue("sandbox", id)
          .addKeyValue("why", e.getMessage())
          .log();
      return false;
    }
  }

  /** What is on record may be newer already. */
  private Sandbox keep(Sandbox sandbox, PolicyInForce inForce) {
    Sandbox current = sandbox;
    while (isLive(current) && current.policyRevision() < inForce.revision()) {
      Transition transition = current.policyUpdated(inForce.policy(), inForce.revision(), now());
      if (sandboxes.apply(transition)) {
        return transition.after();
      }
      current = sandboxes.find(current.id()).orElse(current);
    }
    return current;
  }

  /** Nothing has changed: what is only away for the broker may have been changed before. */
  private static boolean refused(RuntimeException e) {
    return e instanceof StatusRuntimeException status
        && status.getStatus().getCode() != Status.Code.UNAVAILABLE;
  }

  private static boolean isLive(Sandbox sandbox) {
    return sandbox.state() instanceof Live;
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.MICROS);
  }
}
