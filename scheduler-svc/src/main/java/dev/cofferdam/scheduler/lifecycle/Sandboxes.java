package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.sandbox.Transition;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Optional;

/** What a tenant may do with a sandbox that is there. Safe for use by several threads. */
public final class Sandboxes {
  /** The end of protobuf's Timestamp. */
  private static final Instant LAST = Instant.parse("9999-12-31T23:59:59Z");

  private final SandboxStore store;
  private final SandboxEnder ender;
  private final InstantSource clock;

  Sandboxes(SandboxStore store, SandboxEnder ender, InstantSource clock) {
    this.store = store;
    this.ender = ender;
    this.clock = clock;
  }

  /**
   * @throws Refusal SANDBOX_NOT_FOUND, also for another tenant's
   */
  public Sandbox get(String tenant, String id) {
    return store
        .find(tenant, id)
        .orElseThrow(() ->
            new Refusal(
                ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
                "no sandbox " + Texts.quoted(id) + " of tenant " + tenant));
  }

  /** An empty lifetime removes the end, an empty etag stands for any. */
  public Sandbox extend(String tenant, String id, Optional<Duration> lifetime, String etag) {
    while (true) {
      Sandbox sandbox = live(tenant, id, etag);
      Instant now = now();
      Transition transition = sandbox.extended(lifetime.map(time -> end(now, time)), now);
      if (store.apply(transition)) {
        return transition.after();
      }
    }
  }

  /** When a lifetime that begins now ends. */
  static Instant end(Instant now, Duration lifetime) {
    if (lifetime.compareTo(Duration.between(now, LAST)) > 0) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "lifetime is " + lifetime.toSeconds() + " s, which ends after " + LAST);
    }
    return now.plus(lifetime).truncatedTo(ChronoUnit.MICROS);
  }

  /**
   * Ends it. Returns when nothing of it is left, or, where the broker or its node is away, once its
   * end is on record and will be brought about.
   */
  public void delete(String tenant, String id) {
    Sandbox sandbox = get(tenant, id);
    if (sandbox.state() instanceof Ended) {
      return;
    }
    var _ = ender.stop(id, EndCause.DELETED, "deleted");
    var _ = ender.finish(id);
  }

  /**
   * An empty etag stands for any.
   *
   * @throws Refusal SANDBOX_NOT_RUNNING when it is not there yet or no longer
   */
  Sandbox live(String tenant, String id, String etag) {
    Sandbox sandbox = get(tenant, id);
    if (!etag.isEmpty() && !etag.equals(sandbox.etag())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_ETAG_MISMATCH,
          "etag of %s is %s, got %s".formatted(id, sandbox.etag(), Texts.quoted(etag)));
    }
    return switch (sandbox.state()) {
      case Live _ -> sandbox;
      case Starting _ -> throw notThere(id, "is starting");
      case Stopping _ -> throw notThere(id, "is being removed");
      case Ended ended -> throw notThere(id, "has ended at " + ended.at());
    };
  }

  private static Refusal notThere(String id, String why) {
    return new Refusal(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, id + " " + why);
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.MICROS);
  }
}
