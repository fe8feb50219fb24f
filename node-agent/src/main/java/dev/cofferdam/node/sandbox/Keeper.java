package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.journal.JournalEntry.Halt;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.sandbox.SandboxState.Halting;
import dev.cofferdam.node.sandbox.SandboxState.Paused;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.sandbox.SandboxState.Suspended;
import dev.cofferdam.node.snapshot.Snapshot;
import dev.cofferdam.node.snapshot.SnapshotStore;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/**
 * Takes snapshots of a sandbox, and puts it back to one. Everything here runs under the sandbox's
 * lock.
 *
 * <p>A roll-back first lays what it needs whole beside the sandbox, while that goes on; then the
 * journal says so, and from there on it is the sandbox: put in place, asleep, to be woken.
 */
final class Keeper {
  private static final List<String> PARTS =
      List.of(MachineSpec.RAM, MachineSpec.STATE, MachineSpec.DISK);

  private final NodeHelper helper;
  private final SandboxFiles files;
  private final Profiles profiles;
  private final SnapshotStore store;
  private final Capacity capacity;
  private final Journal journal;
  private final Standstill standstill;
  private final Sleeper sleeper;
  private final Waking waking;
  private final ExecutorService executor;

  /**
   * @param executor runs what overlaps
   */
  Keeper(
      NodeHelper helper,
      SandboxFiles files,
      Profiles profiles,
      SnapshotStore store,
      Capacity capacity,
      Journal journal,
      Standstill standstill,
      Sleeper sleeper,
      Waking waking,
      ExecutorService executor) {
    this.helper = helper;
    this.files = files;
    this.profiles = profiles;
    this.store = store;
    this.capacity = capacity;
    this.journal = journal;
    this.standstill = standstill;
    this.sleeper = sleeper;
    this.waking = waking;
    this.executor = executor;
  }

  /** The sandbox is afterwards what it was before: running, paused or suspended. */
  Snapshot take(String sandbox, Cells.Cell cell, String id, boolean full, Steps steps) {
    Profile profile = profiles.read(sandbox);
    if (full && !profile.volumes().isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_VOLUME_IN_USE,
          sandbox + " has a volume, which is no part of a snapshot with memory");
    }
    if (Mounts.disk(profile.volumes()).isPresent()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_VOLUME_IN_USE,
          sandbox + " has a volume for its disk, which is no part of a snapshot");
    }
    try {
      Path target = store.begin(id);
      try {
        Snapshot draft =
            cell.state instanceof Suspended asleep
                ? copy(sandbox, asleep, id, target, full, steps)
                : takeLive(sandbox, cell, id, target, full, steps);
        return steps.time("durable", () -> committed(draft));
      } catch (RuntimeException | Error e) {
        discard(id, e);
        throw e;
      }
    } catch (IOException e) {
      throw new MachineException(id + " was not taken: " + e.getMessage(), e);
    }
  }

  private Snapshot committed(Snapshot draft) {
    try {
      return store.commit(draft);
    } catch (IOException e) {
      throw new MachineException(draft.id() + " is not durable: " + e.getMessage(), e);
    }
  }

  private void discard(String id, Throwable cause) {
    try {
      store.remove(id);
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  private Snapshot copy(
      String sandbox, Suspended asleep, String id, Path target, boolean full, Steps steps) {
    Path own = files.directory(sandbox);
    if (full && waking.cold(sandbox)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING,
          sandbox + " has not run since it was put back to its disk: it has no memory");
    }
    for (String part : full ? PARTS : List.of(MachineSpec.DISK)) {
      steps.time(part, () -> copy(own.resolve(part), target.resolve(part)));
    }
    return draft(id, target, sandbox, full, asleep.size(), asleep.token());
  }

  private Snapshot takeLive(
      String sandbox, Cells.Cell cell, String id, Path target, boolean full, Steps steps) {
    Running running = SandboxState.live(cell.state).orElseThrow();
    Snapshot draft = draft(id, target, sandbox, full, running.size(), running.token());
    Path disk = files.directory(sandbox).resolve(MachineSpec.DISK);
    still(
        sandbox,
        cell,
        () -> {
          Future<?> copied =
              executor.submit(
                  () -> steps.time("disk", () -> copy(disk, target.resolve(MachineSpec.DISK))));
          try {
            if (full) {
              steps.time("snapshot", () -> running.machine().snapshot(target));
            }
            steps.time("disk_wait", () -> Tasks.join(copied));
          } finally {
            Tasks.settle(copied);
          }
        },
        steps);
    return draft;
  }

  /**
   * Does something while guest and machine stand still, what the guest had written synced.
   * Afterwards it is what it was before: running or paused.
   */
  void still(String sandbox, Cells.Cell cell, Runnable work, Steps steps) {
    SandboxState before = cell.state;
    Halt halt = Sleeper.halt(before);
    Running running = SandboxState.live(before).orElseThrow();
    journal.note(Sleeper.halted(sandbox, running, halt));
    cell.state = new Halting(running);
    try {
      if (before instanceof Paused still) {
        standstill.stop(still, steps);
      } else {
        standstill.stop(running, steps);
      }
      work.run();
      if (halt != Halt.PASSING) {
        cell.state = new Paused(running, true, halt == Halt.CUT_OFF);
      } else {
        Running again = standstill.goOn(running, steps);
        journal.note(Sleeper.entry(sandbox, again));
        cell.state = again;
      }
    } catch (RuntimeException | Error e) {
      sleeper.back(sandbox, cell, running, halt, e);
      throw e;
    }
  }

  private Snapshot draft(
      String id, Path target, String sandbox, boolean full, MachineSize size, String token) {
    Profile profile = profiles.read(sandbox);
    return new Snapshot(
        id,
        target,
        sandbox,
        full,
        size,
        profile.image(),
        profile.kernelArguments(),
        profile.fingerprint(),
        token,
        0);
  }

  private static void copy(Path source, Path target) {
    try {
      var _ = SparseFile.copyInCache(source, target);
    } catch (IOException e) {
      throw new MachineException(source + " was not copied: " + e.getMessage(), e);
    }
  }

  /**
   * @throws Refusal SNAPSHOT_UNUSABLE when it is not this sandbox's
   */
  void rollBack(String sandbox, Cells.Cell cell, Snapshot snapshot, Steps steps) {
    if (!snapshot.sandbox().equals(sandbox)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE,
          "%s is of %s, expected one of %s".formatted(snapshot.id(), snapshot.sandbox(), sandbox));
    }
    stage(sandbox, snapshot, steps);
    boolean slept = cell.state instanceof Suspended;
    Suspended back = inForce(sandbox, cell, steps);
    if (slept) {
      sleeper.wake(sandbox, cell, back, steps);
    } else {
      sleeper.bringBack(sandbox, cell, back, steps);
    }
  }

  private void stage(String sandbox, Snapshot snapshot, Steps steps) {
    try {
      waking.unstage(sandbox);
      waking.stage(sandbox, snapshot, steps);
    } catch (IOException | RuntimeException e) {
      try {
        waking.unstage(sandbox);
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      throw e instanceof RuntimeException failure
          ? failure
          : new MachineException(sandbox + " was not put back: " + e.getMessage(), e);
    }
  }

  private Suspended inForce(String sandbox, Cells.Cell cell, Steps steps) {
    SandboxState before = cell.state;
    Optional<Running> live = SandboxState.live(before);
    Suspended back =
        before instanceof Suspended asleep
            ? asleep
            : live.map(running ->
                    new Suspended(running.epoch(), running.slot(), running.token(), running.size()))
                .orElseThrow();
    journal.append(
        new JournalEntry.RollingBack(sandbox, back.epoch(), back.slot().number(), back.size()));
    live.ifPresent(running -> {
      running.guest().end("it is rolled back");
      Sleeper.end(sandbox, running, steps);
      capacity.sleep(running.size());
    });
    // Whatever fails from here on is done again when it wakes.
    cell.state = back;
    return back;
  }

  /** Idempotent. */
  void remove(String id) {
    try {
      store.remove(id);
      helper.forgetTemplate(id);
    } catch (IOException | HelperException e) {
      Refusal refusal =
          new Refusal(
              ErrorReason.ERROR_REASON_INTERNAL, id + " is not removed yet: " + e.getMessage());
      refusal.initCause(e);
      throw refusal;
    }
  }
}
