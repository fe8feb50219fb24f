package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether an operator drains this node. It is the scheduler that says so, and that places nothing
 * here meanwhile; but an order may have been on its way, or come from a scheduler that has not
 * heard yet, so the node refuses by itself too. What is here goes on, sleeps and wakes.
 *
 * <p>A file keeps it for the next process, which may meet orders before it meets the scheduler's
 * word. Each word is put right by the next one, which every registration brings, so the file need
 * not outlive the host. Safe for use by several threads.
 */
public final class Drain {
  private static final Logger log = LoggerFactory.getLogger(Drain.class);

  private final Path file;
  private final Consumer<Boolean> listener;
  private boolean drained;

  private Drain(Path file, Consumer<Boolean> listener) {
    this.file = file;
    this.listener = listener;
    this.drained = Files.exists(file);
  }

  /**
   * @param file is there while the node is drained
   * @param listener is told of each change, and at once where the node is drained; must not block
   */
  public static Drain open(Path file, Consumer<Boolean> listener) {
    Drain drain = new Drain(file, listener);
    if (drain.drained) {
      listener.accept(true);
    }
    return drain;
  }

  /** As the scheduler says it: again and again, mostly without a change. */
  public synchronized void set(boolean now) {
    if (drained == now) {
      return;
    }
    drained = now;
    try {
      if (now) {
        Files.writeString(file, "");
      } else {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      log.atWarn().setMessage("drain_not_kept").addKeyValue("drained", now).setCause(e).log();
    }
    log.atInfo().setMessage(now ? "node_drained" : "node_undrained").log();
    listener.accept(now);
  }

  /**
   * Asked before anything new is started here.
   *
   * @throws Refusal NO_CAPACITY
   */
  public synchronized void requireNone() {
    if (drained) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_NO_CAPACITY, "this node is drained: nothing new is started");
    }
  }
}
