package dev.cofferdam.node.pressure;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.sandbox.Admission;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.util.Optional;

/**
 * Refuses starts while the host is short of something. What was promised to sandboxes is {@code
 * Capacity}'s to count; this is about what is there in fact, whoever uses it. Safe for use by
 * several threads.
 */
public final class HostPressure implements Admission {
  private final HostReader host;
  private final PressureLimits limits;

  public HostPressure(HostReader host, PressureLimits limits) {
    this.host = host;
    this.limits = limits;
  }

  /** What the host is short of now, for people. One that cannot be looked at is short of that. */
  public Optional<String> now() {
    try {
      return limits.decide(host.read());
    } catch (IOException e) {
      return Optional.of("the host cannot be looked at: " + e.getMessage());
    }
  }

  @Override
  public void admit() {
    now()
        .ifPresent(what -> {
          throw new Refusal(
              ErrorReason.ERROR_REASON_NO_CAPACITY, "this node's host is short: " + what);
        });
  }
}
