package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.guest.Activity;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.journal.JournalEntry.Halt;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.sandbox.SandboxState.Ended;
import dev.cofferdam.node.sandbox.SandboxState.Halting;
import dev.cofferdam.node.sandbox.SandboxState.Paused;
import dev.cofferdam.node.sandbox.SandboxState.Removing;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.sandbox.SandboxState.Starting;
import dev.cofferdam.node.sandbox.SandboxState.Suspended;
import dev.cofferdam.node.snapshot.Snapshot;
import dev.cofferdam.node.snapshot.SnapshotStore;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What can be done to a sandbox that is there: sleep, wake, be kept and be put back. Safe for use
 * by several threads; what is done to one sandbox is done one thing at a time.
 */
public final class SandboxStates {
  private static final Logger log = LoggerFactory.getLogger(SandboxStates.class);
  private static final Duration ASK = Duration.ofSeconds(10);

  /** How the outside sees a sandbox that is there. */
  public enum Visible {
    RUNNING,
    PAUSED,
    SUSPENDED
  }

  /** Hears of changes that nobody asked for. */
  @FunctionalInterface
  public interface ChangeListener {
    /**
     * @param change its number: see {@link SandboxStates#change}
     * @param message why, for people
     */
    void changed(String sandbox, long epoch, Visible state, long change, String message);
  }

  private final Cells cells;
  private final SnapshotStore store;
  private final Sleeper sleeper;
  private final Keeper keeper;
  private final Changes changes;
  private final SandboxMetrics metrics;

  /** When a call was let through to a sandbox last, counted: a time would not order two of them. */
  private final Map<String, AtomicLong> calls = new ConcurrentHashMap<>();

  private volatile ChangeListener listener = (sandbox, epoch, state, change, message) -> {};

  SandboxStates(
      Cells cells,
      SnapshotStore store,
      Sleeper sleeper,
      Keeper keeper,
      Changes changes,
      SandboxMetrics metrics) {
    this.cells = cells;
    this.store = store;
    this.sleeper = sleeper;
    this.keeper = keeper;
    this.changes = changes;
    this.metrics = metrics;
  }

  public void onChange(ChangeListener newListener) {
    listener = newListener;
  }

  /**
   * Returns once it is so. Idempotent.
   *
   * @return where the time went, in milliseconds
   * @throws Refusal STALE_EPOCH, SANDBOX_NOT_FOUND, SANDBOX_NOT_RUNNING, NO_CAPACITY for one that
   *     is to wake, or INTERNAL when it did not come to be so
   */
  public Map<String, Double> set(String sandbox, long epoch, Visible wanted) {
    return locked(
        sandbox,
        epoch,
        (cell, steps) ->
            switch (wanted) {
              case RUNNING -> run(sandbox, cell, steps);
              case PAUSED -> {
                if (cell.state instanceof Paused paused) {
                  sleeper.stayPaused(sandbox, cell, paused);
                } else {
                  sleeper.pause(sandbox, cell, run(sandbox, cell, steps), Halt.PAUSED, steps);
                }
                yield cell;
              }
              case SUSPENDED -> {
                if (!(cell.state instanceof Suspended)) {
                  var _ = sleeper.suspend(sandbox, cell, () -> false, steps);
                }
                yield cell;
              }
            });
  }

  /**
   * Idempotent per id.
   *
   * @param full with memory and devices
   * @throws Refusal as {@link #set}
   */
  public Taken take(String sandbox, long epoch, String id, boolean full) {
    SnapshotStore.requireId(id);
    Snapshot[] taken = new Snapshot[1];
    Map<String, Double> steps =
        locked(
            sandbox,
            epoch,
            (cell, timed) -> {
              Optional<Snapshot> found = found(id);
              taken[0] =
                  found.isPresent() ? found.get() : keeper.take(sandbox, cell, id, full, timed);
              return taken[0];
            });
    return new Taken(taken[0].bytes(), steps);
  }

  /**
   * A snapshot that is durable.
   *
   * @param bytes on disk, without holes
   */
  public record Taken(long bytes, Map<String, Double> stepsMs) {}

  /**
   * Does something while nothing of the sandbox writes: while it stands still where it has a VM, at
   * once where it sleeps, has ended or is not here.
   *
   * @throws Refusal SANDBOX_NOT_RUNNING while it is being removed, INTERNAL when it did not stand
   *     still, or did not go on afterwards
   */
  public void still(String sandbox, Runnable work) {
    StartOrder.requireId(sandbox);
    cells.run(
        sandbox,
        cell -> {
          switch (cell.state) {
            case Running running -> stopped(sandbox, running.epoch(), work);
            case Halting halting -> stopped(sandbox, halting.epoch(), work);
            case Paused paused -> stopped(sandbox, paused.epoch(), work);
            case Removing _ -> throw notRunning(sandbox, "is being removed");
            case Suspended _, Starting _, Ended _ -> work.run();
            case null -> work.run();
          }
        });
  }

  private void stopped(String sandbox, long epoch, Runnable work) {
    var _ =
        locked(
            sandbox,
            epoch,
            (cell, steps) -> {
              keeper.still(sandbox, cell, work, steps);
              return cell;
            });
  }

  /** Idempotent. */
  public void removeSnapshot(String id) {
    SnapshotStore.requireId(id);
    keeper.remove(id);
  }

  /**
   * The sandbox runs afterwards.
   *
   * @throws Refusal SNAPSHOT_NOT_FOUND, SNAPSHOT_UNUSABLE, and as {@link #set}
   */
  public Map<String, Double> rollBack(String sandbox, long epoch, String id) {
    Snapshot snapshot = store.require(id);
    return locked(
        sandbox,
        epoch,
        (cell, steps) -> {
          keeper.rollBack(sandbox, cell, snapshot, steps);
          return cell;
        });
  }

  /**
   * The way to a sandbox for one call. One that sleeps wakes; whoever calls meanwhile waits, and
   * all share one wake.
   *
   * @throws Refusal SANDBOX_NOT_FOUND, SANDBOX_NOT_RUNNING for one that is paused, NO_CAPACITY
   */
  public Relay reach(String sandbox) {
    // Before the look: who puts it to sleep looks at this after the state says so.
    called(sandbox).incrementAndGet();
    return switch (cells.peek(sandbox)) {
      case Running running -> relay(running);
      case Suspended asleep -> wake(sandbox, asleep.epoch());
      case Halting halting -> wake(sandbox, halting.epoch());
      case Paused _ -> throw notRunning(sandbox, "is paused");
      case Starting _ -> throw notRunning(sandbox, "is being started");
      case Removing _ -> throw notRunning(sandbox, "is being removed");
      case Ended _ -> throw notRunning(sandbox, "has ended");
      case null -> {
        calls.remove(sandbox);
        throw notFound(sandbox);
      }
    };
  }

  private Relay wake(String sandbox, long epoch) {
    boolean[] slept = new boolean[1];
    Relay[] relay = new Relay[1];
    var _ =
        locked(
            sandbox,
            epoch,
            (cell, steps) -> {
              slept[0] = cell.state instanceof Suspended;
              if (cell.state instanceof Paused) {
                throw notRunning(sandbox, "is paused");
              }
              relay[0] = relay(run(sandbox, cell, steps));
              return cell;
            });
    if (slept[0]) {
      listener.changed(sandbox, epoch, Visible.RUNNING, change(sandbox), "woken by a call");
    }
    return relay[0];
  }

  /**
   * What goes on in a sandbox that runs; empty where none does.
   *
   * @throws GuestException when it does not say
   */
  Optional<Activity> activity(String sandbox) {
    return cells.peek(sandbox) instanceof Running running
        ? Optional.of(running.guest().activity(running.token(), ASK))
        : Optional.empty();
  }

  /** How many calls were let through to it, or tried to get there. */
  long calls(String sandbox) {
    return called(sandbox).get();
  }

  /**
   * Suspends a sandbox that nobody has called since.
   *
   * @param callsSeen as {@link #calls} said when it was found idle
   * @return whether it sleeps now
   */
  boolean suspendIdle(String sandbox, long epoch, long callsSeen, String why) {
    boolean[] asleep = new boolean[1];
    var _ =
        locked(
            sandbox,
            epoch,
            (cell, steps) -> {
              if (cell.state instanceof Running) {
                asleep[0] =
                    sleeper.suspend(sandbox, cell, () -> calls(sandbox) != callsSeen, steps);
              }
              return cell;
            });
    if (asleep[0]) {
      listener.changed(sandbox, epoch, Visible.SUSPENDED, change(sandbox), why);
    }
    return asleep[0];
  }

  /**
   * Pauses what runs, until {@link #rejoin}.
   *
   * @throws Refusal as {@link #set}
   */
  void cutOff(String sandbox, long epoch, String why) {
    boolean[] paused = new boolean[1];
    var _ =
        locked(
            sandbox,
            epoch,
            (cell, steps) -> {
              if (cell.state instanceof Running running) {
                sleeper.pause(sandbox, cell, running, Halt.CUT_OFF, steps);
                paused[0] = true;
              }
              return cell;
            });
    if (paused[0]) {
      listener.changed(sandbox, epoch, Visible.PAUSED, change(sandbox), why);
    }
  }

  /**
   * Resumes what {@link #cutOff} paused, and nothing that was paused for another reason.
   *
   * @throws Refusal as {@link #set}
   */
  void rejoin(String sandbox, long epoch, String why) {
    boolean[] resumed = new boolean[1];
    var _ =
        locked(
            sandbox,
            epoch,
            (cell, steps) -> {
              if (cell.state instanceof Paused paused && paused.cutOff()) {
                sleeper.resume(sandbox, cell, paused, steps);
                resumed[0] = true;
              }
              return cell;
            });
    if (resumed[0]) {
      listener.changed(sandbox, epoch, Visible.RUNNING, change(sandbox), why);
    }
  }

  /** Counts its changes: see {@link Changes}. */
  public long change(String sandbox) {
    return changes.of(sandbox);
  }

  /** Nothing of it is of interest any more. */
  void forget(String sandbox) {
    calls.remove(sandbox);
    changes.forget(sandbox);
  }

  private AtomicLong called(String sandbox) {
    return calls.computeIfAbsent(sandbox, _ -> new AtomicLong());
  }

  private Running run(String sandbox, Cells.Cell cell, Steps steps) {
    switch (cell.state) {
      case Paused paused -> sleeper.resume(sandbox, cell, paused, steps);
      case Suspended asleep -> sleeper.wake(sandbox, cell, asleep, steps);
      case null -> throw notFound(sandbox);
      case Running _, Halting _, Starting _, Removing _, Ended _ -> {}
    }
    if (cell.state instanceof Running running) {
      return running;
    }
    throw notRunning(sandbox, "does not run");
  }

  private Optional<Snapshot> found(String id) {
    try {
      return store.find(id);
    } catch (IOException e) {
      throw new MachineException(id + " is broken: " + e.getMessage(), e);
    }
  }

  @FunctionalInterface
  private interface Work {
    Object run(Cells.Cell cell, Steps steps);
  }

  private Map<String, Double> locked(String sandbox, long epoch, Work work) {
    StartOrder.requireId(sandbox);
    Steps steps = new Steps(System::nanoTime);
    return cells.locked(
        sandbox,
        cell -> {
          requireThere(sandbox, epoch, cell.state);
          SandboxState before = cell.state;
          try {
            var _ = work.run(cell, steps);
          } catch (MachineException | GuestException | HelperException e) {
            Refusal refusal =
                new Refusal(ErrorReason.ERROR_REASON_INTERNAL, sandbox + ": " + e.getMessage());
            refusal.initCause(e);
            throw refusal;
          } finally {
            steps.reached("total");
            tell(sandbox, before, cell.state, steps);
          }
          return steps.millis();
        });
  }

  private void tell(
      String sandbox, @Nullable SandboxState before, @Nullable SandboxState after, Steps steps) {
    if (after != null && before != null && after.getClass() != before.getClass()) {
      changes.changed(sandbox);
      act(before, after).ifPresent(act -> metrics.done(act, steps.millis()));
      log.atInfo()
          .setMessage("sandbox_state_changed")
          .addKeyValue("sandbox", sandbox)
          .addKeyValue("state", after.getClass().getSimpleName())
          .addKeyValue("steps_ms", steps.millis())
          .log();
    }
  }

  /** Empty for what did not come about. */
  private static Optional<SandboxMetrics.Act> act(SandboxState before, SandboxState after) {
    return switch (after) {
      case Running _ when before instanceof Paused -> Optional.of(SandboxMetrics.Act.RESUME);
      case Running _ when before instanceof Suspended -> Optional.of(SandboxMetrics.Act.WAKE);
      case Paused _ when before instanceof Running -> Optional.of(SandboxMetrics.Act.PAUSE);
      case Suspended _ -> Optional.of(SandboxMetrics.Act.SUSPEND);
      case Running _, Paused _, Halting _, Starting _, Removing _, Ended _ -> Optional.empty();
    };
  }

  private static void requireThere(String sandbox, long epoch, @Nullable SandboxState state) {
    if (state == null) {
      throw notFound(sandbox);
    }
    int order = Long.compareUnsigned(epoch, state.epoch());
    if (order < 0) {
      throw Sandboxes.stale(sandbox, epoch, new Fencing.Start.Stale(state.epoch()));
    }
    if (order > 0) {
      throw notFound(sandbox);
    }
    if (state instanceof Ended || state instanceof Removing || state instanceof Starting) {
      throw notRunning(sandbox, "does not run");
    }
  }

  private static Relay relay(Running running) {
    return new Relay(running.guest(), running.token());
  }

  private static Refusal notFound(String sandbox) {
    return new Refusal(
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND, sandbox + " is not on this node");
  }

  private static Refusal notRunning(String sandbox, String what) {
    return new Refusal(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, sandbox + " " + what);
  }
}
