package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.guest.Freshness;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.sandbox.SandboxState.Paused;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.random.RandomGenerator;

/**
 * Lets a sandbox stand still and go on: what sleep, snapshots and roll-backs have in common. A
 * guest is stopped before its machine, so that nothing in a copy of it runs before it is somebody
 * else.
 */
final class Standstill {
  /** Of a guest that writes its disks out, under emulation and load. */
  private static final Duration FREEZE = Duration.ofSeconds(30);

  private static final Duration THAW = Duration.ofSeconds(20);

  private final GuestConnector guests;
  private final InstantSource clock;
  private final RandomGenerator random;

  /**
   * @param random draws entropy: cryptographically strong
   */
  Standstill(GuestConnector guests, InstantSource clock, RandomGenerator random) {
    this.guests = guests;
    this.clock = clock;
    this.random = random;
  }

  /** Guest and machine stand still, and no connection of ours is in it. */
  void stop(Running running, Steps steps) {
    steps.time("freeze", () -> running.guest().freeze(running.token(), FREEZE));
    steps.time("pause", running.machine()::pause);
  }

  /** The same for one whose machine does already: it runs for as long as that takes. */
  void stop(Paused paused, Steps steps) {
    if (!paused.frozen()) {
      steps.time("resume", paused.running().machine()::resume);
      stop(paused.running(), steps);
    }
  }

  /** With a link of its own, after a {@link #stop}. */
  Running goOn(Running running, Steps steps) {
    steps.time("resume", running.machine()::resume);
    return thaw(running.with(guests.connect(running.slot().link())), steps);
  }

  /** Of a machine that runs. The link is at its end when the guest does not go on. */
  Running thaw(Running running, Steps steps) {
    try {
      steps.time(
          "thaw",
          () ->
              running
                  .guest()
                  .thaw(
                      running.token(),
                      Freshness.of(random, clock.instant()),
                      Optional.empty(),
                      THAW));
      return running;
    } catch (RuntimeException | Error e) {
      running.guest().close();
      throw e;
    }
  }

  Guest connect(Running running) {
    return guests.connect(running.slot().link());
  }
}
