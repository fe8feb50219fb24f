package dev.cofferdam.node.pool;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * What to do next for the pool, decided from what there is. As many machines of a template are held
 * as were lately asked for, and one more, within the configuration's bounds; what is asked for most
 * in proportion to what there is comes first, and of equals the first in the list.
 */
final class PoolPlan {
  /**
   * One template's machines.
   *
   * @param demand claims lately, decayed
   */
  record Shelf(String template, double demand, int restored, int waiting) {
    int mib() {
      return restored * PoolConfig.RESTORED_MIB + waiting * PoolConfig.WAITING_MIB;
    }

    double supply() {
      return restored / (1 + demand);
    }
  }

  /** One thing to do. */
  sealed interface Step {
    String template();

    /** Start a VMM. */
    record Start(String template) implements Step {}

    /** Load and rehearse one that waits. */
    record Restore(String template) implements Step {}

    /** Give one up. */
    record Drop(String template, Reason reason) implements Step {}
  }

  /** Why something is given up. */
  enum Reason {
    /** Fewer were asked for lately. */
    SURPLUS,
    /** The host needs its memory. */
    MEMORY
  }

  private final PoolConfig config;
  private final List<Shelf> shelves;
  private final int usedMib;
  private final long availableMib;

  private PoolPlan(PoolConfig config, List<Shelf> shelves, long availableMib) {
    this.config = config;
    this.shelves = shelves;
    this.usedMib = shelves.stream().mapToInt(Shelf::mib).sum();
    this.availableMib = availableMib;
  }

  /**
   * @param availableMib memory that the host could give away
   * @param slotFree whether a slot is left for a further VMM
   * @return empty where all is as it should be, or nothing more may be made
   */
  static Optional<Step> next(
      PoolConfig config, List<Shelf> shelves, long availableMib, boolean slotFree) {
    PoolPlan plan = new PoolPlan(config, shelves, availableMib);
    return plan.memory()
        .or(plan::surplus)
        .or(() -> plan.restored(slotFree))
        .or(() -> slotFree ? plan.waiting() : Optional.empty());
  }

  /** How many machines the shelves lack, however many of them memory allows. */
  static int missing(PoolConfig config, List<Shelf> shelves) {
    return shelves.stream()
        .mapToInt(shelf ->
            Math.max(wanted(config.restored(), shelf) - shelf.restored(), 0)
                + Math.max(wanted(config.waiting(), shelf) - shelf.waiting(), 0))
        .sum();
  }

  private Optional<Step> memory() {
    return availableMib < config.hostReserveMib()
        ? shelves.reversed().stream()
            .filter(shelf -> shelf.mib() > 0)
            .max(Comparator.comparingDouble(Shelf::supply))
            .map(shelf -> new Step.Drop(shelf.template(), Reason.MEMORY))
        : Optional.empty();
  }

  private Optional<Step> surplus() {
    return shelves.stream()
        .filter(this::tooMany)
        .findFirst()
        .map(shelf -> new Step.Drop(shelf.template(), Reason.SURPLUS));
  }

  private boolean tooMany(Shelf shelf) {
    int missing = wanted(config.restored(), shelf) - shelf.restored();
    // One that waits to be restored is none too many.
    return missing < 0 || shelf.waiting() > wanted(config.waiting(), shelf) + missing;
  }

  private Optional<Step> restored(boolean slotFree) {
    return shelves.stream()
        .filter(shelf -> shelf.restored() < wanted(config.restored(), shelf))
        .filter(shelf -> shelf.waiting() > 0 || slotFree)
        .filter(shelf ->
            fits(PoolConfig.RESTORED_MIB - (shelf.waiting() > 0 ? PoolConfig.WAITING_MIB : 0)))
        .min(Comparator.comparingDouble(Shelf::supply))
        .map(shelf ->
            shelf.waiting() > 0
                ? new Step.Restore(shelf.template())
                : new Step.Start(shelf.template()));
  }

  private Optional<Step> waiting() {
    return shelves.stream()
        .filter(shelf -> shelf.waiting() < wanted(config.waiting(), shelf))
        .filter(_ -> fits(PoolConfig.WAITING_MIB))
        .min(Comparator.comparingInt(Shelf::waiting))
        .map(shelf -> new Step.Start(shelf.template()));
  }

  private boolean fits(int mib) {
    return usedMib + mib <= config.memoryMib() && availableMib - mib >= config.hostReserveMib();
  }

  private static int wanted(int most, Shelf shelf) {
    return (int) Math.min(most, 1 + Math.floor(shelf.demand()));
  }
}
