package dev.cofferdam.scheduler.snapshot;

import dev.cofferdam.scheduler.sandbox.EventDraft;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Creating;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleted;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleting;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Ready;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * The record of a snapshot. It outlives its sandbox.
 *
 * @param id {@code sn-} and 20 characters of {@code [a-z2-7]}
 * @param sandbox that it is of
 * @param generation of that one's placeholders when it was taken
 * @param template that one's
 * @param size that one's
 * @param node that keeps it, and the only one that can make anything of it
 * @param listed false for a fork's, which nobody but the fork knows
 * @param bytes on the node's disk; 0 until it is ready
 * @param version of this record, from 1, one more with every change
 */
public record Snapshot(
    String id,
    String tenant,
    String sandbox,
    long generation,
    SnapshotKind kind,
    String template,
    SandboxSize size,
    Map<String, String> labels,
    Instant createTime,
    String node,
    boolean listed,
    long bytes,
    long version,
    SnapshotState state) {
  private static final Pattern ID = Pattern.compile("sn-[a-z2-7]{20}");

  public Snapshot {
    if (!isId(id)) {
      throw new IllegalArgumentException("id is '" + id + "', expected " + ID);
    }
    if (version < 1 || generation < 0 || bytes < 0) {
      throw new IllegalArgumentException(
          "%s has version %d, generation %d, %d bytes; expected at least 1, 0, 0"
              .formatted(id, version, generation, bytes));
    }
    labels = Map.copyOf(labels);
  }

  public static boolean isId(String text) {
    return ID.matcher(text).matches();
  }

  /** The record of one that its node is about to take. */
  public static Snapshot begun(
      String id,
      Sandbox of,
      SnapshotKind kind,
      Map<String, String> labels,
      boolean listed,
      UUID process,
      Instant now) {
    return new Snapshot(
        id,
        of.tenant(),
        of.id(),
        of.generation(),
        kind,
        of.template(),
        of.size(),
        labels,
        now,
        of.node(),
        listed,
        0,
        1,
        new Creating(process));
  }

  /**
   * One change of a record, to be stored only if the record is still what it was.
   *
   * @param event of its sandbox, stored in the same transaction
   */
  public record Change(Snapshot before, Snapshot after, Optional<EventDraft> event) {}

  /** The node has it. Only from {@link Creating}. */
  public Change ready(long itsBytes, Instant now) {
    if (!(state instanceof Creating)) {
      throw cannot("become ready");
    }
    return new Change(
        this,
        with(itsBytes, new Ready()),
        Optional.of(new EventDraft(EventDraft.Kind.SNAPSHOT_CREATED, now, id)));
  }

  /** The point of no return. Only from {@link Creating} and {@link Ready}. */
  public Change deleting() {
    return switch (state) {
      case Creating _, Ready _ -> new Change(this, with(bytes, new Deleting()), Optional.empty());
      case Deleting _, Deleted _ -> throw cannot("be deleted");
    };
  }

  /** Nothing of it is left. Only from {@link Deleting}. */
  public Change deleted(Instant now) {
    if (!(state instanceof Deleting)) {
      throw cannot("be gone");
    }
    return new Change(this, with(bytes, new Deleted(now)), Optional.empty());
  }

  private Snapshot with(long newBytes, SnapshotState newState) {
    return new Snapshot(
        id,
        tenant,
        sandbox,
        generation,
        kind,
        template,
        size,
        labels,
        createTime,
        node,
        listed,
        newBytes,
        version + 1,
        newState);
  }

  private IllegalStateException cannot(String what) {
    return new IllegalStateException(id + " is " + state + " and cannot " + what);
  }
}
