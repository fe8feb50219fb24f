package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.SecretUse;
import dev.cofferdam.scheduler.sandbox.TimeoutAction;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.v1.EgressPolicy;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A create that passed every check that needs neither nodes nor the broker.
 *
 * @param request empty: not idempotent
 * @param offer the template as nodes know it: the id of a tenant's, the name of the operator's
 * @param env without placeholders; handed to the node and kept nowhere
 * @param lifetime at least 1 s; empty: no end
 * @param timeoutAction at its end
 * @param snapshot that it is made from, as it was when the request was checked; template and size
 *     are its own then. Empty: from the template
 * @param volumes names by the directory they are mounted at, at {@code /} the sandbox's own disk;
 *     none with a snapshot
 * @param diskSource name of a volume that its own disk begins as a copy of
 * @param idleTimeout at least 1 s; empty: never
 */
public record CreateSpec(
    Optional<RequestKey> request,
    String template,
    String offer,
    SandboxSize size,
    Map<String, String> env,
    List<SecretUse> secrets,
    EgressPolicy policy,
    Optional<Duration> lifetime,
    TimeoutAction timeoutAction,
    Optional<Duration> idleTimeout,
    Optional<Snapshot> snapshot,
    Map<String, String> volumes,
    Optional<String> diskSource,
    Map<String, String> labels) {
  public CreateSpec {
    env = Map.copyOf(env);
    secrets = List.copyOf(secrets);
    volumes = Map.copyOf(volumes);
    labels = Map.copyOf(labels);
  }

  /** Without the environment: a tenant may have put there what should not be in a log. */
  @Override
  public String toString() {
    return "CreateSpec[" + template + ", " + size + ", " + secrets + "]";
  }
}
