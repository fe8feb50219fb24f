package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.store.RequestStore.KnownRequest;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/** Creates of single sandboxes. Safe for use by several threads. */
public final class Creates {
  private final SandboxStore store;
  private final SandboxCreator creator;
  private final SandboxEnder ender;
  private final Idempotency idempotency;
  private final Duration timeout;

  Creates(
      SandboxStore store,
      SandboxCreator creator,
      SandboxEnder ender,
      Idempotency idempotency,
      Duration timeout) {
    this.store = store;
    this.creator = creator;
    this.ender = ender;
    this.idempotency = idempotency;
    this.timeout = timeout;
  }

  /** Blocks until the sandbox runs or the create has been undone. */
  public Sandbox create(String tenant, String token, CreateSpec spec) {
    return idempotency.perform(
        tenant,
        spec.request(),
        timeout,
        new Idempotency.Work<>() {
          @Override
          public Idempotency.Outcome<Sandbox> make(BooleanSupplier wanted) {
            return creator.create(tenant, token, spec, wanted);
          }

          @Override
          public Sandbox known(KnownRequest request) {
            return made(store, tenant, request.made().getFirst());
          }

          @Override
          public void discard(Sandbox made) {
            ender.endLater(made.id(), EndCause.DELETED, "the caller left before the answer");
          }
        });
  }

  /**
   * What an earlier create with this id made, where there was one, also where a new one is to be
   * refused: what it was made of may have gone since.
   *
   * @throws Refusal {@code otherwise}, where there was none
   */
  public Sandbox again(String tenant, Optional<RequestKey> request, Refusal otherwise) {
    if (request.isEmpty()) {
      throw otherwise;
    }
    return idempotency.perform(
        tenant,
        request,
        timeout,
        new Idempotency.Work<>() {
          @Override
          public Idempotency.Outcome<Sandbox> make(BooleanSupplier wanted) {
            throw otherwise;
          }

          @Override
          public Sandbox known(KnownRequest known) {
            return made(store, tenant, known.made().getFirst());
          }

          @Override
          public void discard(Sandbox made) {
            // It was answered once.
          }
        });
  }

  /** What an earlier create made. */
  static Sandbox made(SandboxStore store, String tenant, String id) {
    Sandbox sandbox =
        store
            .find(tenant, id)
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
                    "the sandbox of this request, " + id + ", is no longer on record"));
    if (sandbox.state() instanceof Starting) {
      // Its driver died with an earlier process; it is being undone, and then the id is free.
      throw new Refusal(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
          "the scheduler stopped while this request was under way; try again");
    }
    return sandbox;
  }
}
