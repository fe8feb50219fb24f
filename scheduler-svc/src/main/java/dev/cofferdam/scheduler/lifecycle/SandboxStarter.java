package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.broker.BrokerClient;
import dev.cofferdam.scheduler.broker.Grants;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.NodeLink;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.Transition;
import io.grpc.Deadline;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Starts one sandbox whose record is stored: grants, then the VM. Safe for use by several threads.
 */
final class SandboxStarter {
  private static final Duration GRANTS_TIMEOUT = Duration.ofSeconds(10);

  private final BrokerClient broker;
  private final Cluster cluster;
  private final InstantSource clock;

  SandboxStarter(BrokerClient broker, Cluster cluster, InstantSource clock) {
    this.broker = broker;
    this.cluster = cluster;
    this.clock = clock;
  }

  /**
   * What a start needs beside the record.
   *
   * @param token of the tenant, for the broker
   * @param env without placeholders
   * @param template as nodes know it
   * @param snapshot of its node; empty: its template
   * @param diskSource a volume of its node that its disk begins as a copy of
   */
  record Order(
      String token,
      String template,
      Map<String, String> env,
      Optional<String> snapshot,
      Optional<String> diskSource,
      Deadline deadline) {
    /** Without token and environment. */
    @Override
    public String toString() {
      return "Order[" + snapshot.orElse("template") + "]";
    }
  }

  /** Returns the change that puts on record that it runs; nothing is stored yet. */
  Transition start(Sandbox sandbox, Order order) {
    Deadline soon = Deadline.after(GRANTS_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
    Grants grants = broker.createGrants(order.token(), sandbox, soon.minimum(order.deadline()));
    Map<String, String> env = new HashMap<>(order.env());
    env.putAll(grants.placeholders());
    NodeLink.Answer answer =
        cluster
            .link(sandbox.node())
            .start(
                sandbox,
                order.template(),
                env,
                grants.attachTicket(),
                grants.caCertificate(),
                order.snapshot().orElse(""),
                order.diskSource().orElse(""),
                order.deadline());
    return sandbox.started(
        new Sandbox.Started(
            answer.isolation(), grants.policyRevision(), grants.generation(), answer.report()),
        clock.instant().truncatedTo(ChronoUnit.MICROS));
  }

  /** For people: it becomes the end message of a sandbox that did not start. */
  static String why(RuntimeException cause) {
    return switch (cause) {
      case Refusal refusal -> String.valueOf(refusal.getMessage());
      case StatusRuntimeException status -> String.valueOf(status.getMessage());
      default -> "the scheduler failed; its log has the cause";
    };
  }
}
