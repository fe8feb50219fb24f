package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Holds the sandboxes of a node that is cut off from the scheduler to what its operator wants. What
 * it paused is known by the journal, so that a later process of the node agent resumes just that.
 * For one thread.
 */
public final class PartitionWatch {
  private static final Logger log = LoggerFactory.getLogger(PartitionWatch.class);

  private final Sandboxes sandboxes;
  private final SandboxStates states;
  private final OnPartition config;
  private final BooleanSupplier registered;
  private final LongSupplier nanos;
  private final ExecutorService executor;
  private long registeredAt;

  /**
   * @param registered whether the scheduler has this node's registration, now
   * @param nanos a clock that never goes back
   * @param executor runs what overlaps
   */
  public PartitionWatch(
      Sandboxes sandboxes,
      OnPartition config,
      BooleanSupplier registered,
      LongSupplier nanos,
      ExecutorService executor) {
    this.sandboxes = sandboxes;
    this.states = sandboxes.states();
    this.config = config;
    this.registered = registered;
    this.nanos = nanos;
    this.executor = executor;
    this.registeredAt = nanos.getAsLong();
  }

  /**
   * To be called about once a second; returns when each sandbox is as it is to be, or refused. What
   * came to run while the node was cut off, or did not stand still, is paused the next time.
   */
  public void look() {
    boolean connected = registered.getAsBoolean();
    long now = nanos.getAsLong();
    if (connected) {
      registeredAt = now;
    }
    if (connected || !config.pause()) {
      each(
          sandboxes.cutOff(),
          entry -> states.rejoin(entry.sandbox(), entry.epoch(), "its node is no longer cut off"));
    } else if (now - registeredAt >= config.after().toNanos()) {
      each(
          sandboxes.running(),
          entry ->
              states.cutOff(
                  entry.sandbox(), entry.epoch(), "its node is cut off from the scheduler"));
    }
  }

  private void each(List<Sandboxes.Entry> entries, Consumer<Sandboxes.Entry> work) {
    List<Runnable> works =
        entries.stream().<Runnable>map(entry -> () -> attempt(entry, work)).toList();
    Tasks.all(executor, works);
  }

  private static void attempt(Sandboxes.Entry entry, Consumer<Sandboxes.Entry> work) {
    try {
      work.accept(entry);
    } catch (Refusal e) {
      // Gone meanwhile, or it does not obey: looked at again the next time.
      log.atWarn()
          .setMessage("partition_not_followed")
          .addKeyValue("sandbox", entry.sandbox())
          .setCause(e)
          .log();
    }
  }
}
