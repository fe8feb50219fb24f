package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.config.Settings;
import java.time.Duration;

/**
 * What a node does with its sandboxes while it is cut off from the scheduler. It ends none of them.
 *
 * @param pause {@code on-partition}, default {@code continue}: they go on; {@code pause}: they
 *     stand still until the scheduler has this node's registration again
 * @param after {@code on-partition.after}, default 5m, 1s to 30d: so long without a registration
 *     first. An end of the network that no packet tells of is found within 30 s more, and a restart
 *     of the node agent begins the time anew
 */
public record OnPartition(boolean pause, Duration after) {
  private static final String KEY = "on-partition";
  private static final String CONTINUE = "continue";
  private static final String PAUSE = "pause";

  public static OnPartition read(Settings settings) {
    String text = settings.text(KEY, CONTINUE);
    if (!text.equals(CONTINUE) && !text.equals(PAUSE)) {
      settings.problem(KEY, "is '" + text + "', expected " + CONTINUE + " or " + PAUSE);
    }
    return new OnPartition(
        text.equals(PAUSE),
        settings.duration(
            KEY + ".after", Duration.ofMinutes(5), Duration.ofSeconds(1), Duration.ofDays(30)));
  }
}
