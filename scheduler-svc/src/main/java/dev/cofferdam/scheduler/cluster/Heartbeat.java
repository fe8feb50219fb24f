package dev.cofferdam.scheduler.cluster;

import dev.cofferdam.scheduler.placement.PlacementSpec;
import java.util.Map;
import java.util.Set;

/**
 * What a node says of itself every so often.
 *
 * @param templates that it can restore at once; empty: those that it said before
 * @param pressure what it is short of, for people: nothing new is placed there. Empty: all is well
 * @param pooled machines restored and waiting, by what they are good for
 */
public record Heartbeat(
    long freeSlots,
    long freeMemoryMib,
    Set<String> templates,
    String pressure,
    Map<PlacementSpec, Integer> pooled) {
  public Heartbeat {
    templates = Set.copyOf(templates);
    pooled = Map.copyOf(pooled);
  }
}
