package dev.cofferdam.node.pool;

import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * What to do next for the pool, decided from what there is. As many machines of a template are held
 * as were lately asked for, and one more, within the configuration's bounds; what is asked for most
 * in proportion to what there is comes first, and of equals the first in the list.
 *
 * <p>Of a tenant's template nothing is held that was not asked for lately. All of them together
 * have half of the memory at most, of which each tenant has the same share and what others leave of
 * theirs; one machine of a tenant's is never too many where there is room for it.
 */
final class PoolPlan {
  /** What a claim has come down to after two half-lives. */
  private static final double ASKED_FOR = 0.25;

  /**
   * One template's machines.
   *
   * @param owner the tenant whose it is; empty: the operator's
   * @param demand claims lately, decayed
   */
  record Shelf(String template, String owner, double demand, int restored, int waiting) {
    boolean isTenants() {
      return !owner.isEmpty();
    }

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
    MEMORY,
    /** Other tenants' templates are asked for too. */
    SHARE
  }

  private final PoolConfig config;
  private final List<Shelf> shelves;
  private final int usedMib;
  private final long availableMib;
  private final Map<String, Integer> shares;

  private PoolPlan(PoolConfig config, List<Shelf> shelves, long availableMib) {
    this.config = config;
    this.shelves = shelves;
    this.usedMib = shelves.stream().mapToInt(Shelf::mib).sum();
    this.availableMib = availableMib;
    this.shares = shares();
  }

  /**
   * What each tenant may have, in MiB: the least wanting first, so that it leaves the others more.
   */
  private Map<String, Integer> shares() {
    Map<String, Integer> wanted = new TreeMap<>();
    shelves.stream()
        .filter(Shelf::isTenants)
        .forEach(shelf -> wanted.merge(shelf.owner(), wantedMib(shelf), Integer::sum));
    Map<String, Integer> shares = new HashMap<>();
    int left = tenantsMib();
    int tenants = wanted.size();
    for (Map.Entry<String, Integer> tenant :
        wanted.entrySet().stream().sorted(Map.Entry.comparingByValue()).toList()) {
      int share = Math.min(tenant.getValue(), left / tenants);
      shares.put(tenant.getKey(), share);
      left -= share;
      tenants--;
    }
    return shares;
  }

  private int tenantsMib() {
    return config.memoryMib() / 2;
  }

  private int wantedMib(Shelf shelf) {
    return wanted(config.restored(), shelf) * PoolConfig.RESTORED_MIB
        + wanted(config.waiting(), shelf) * PoolConfig.WAITING_MIB;
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
        .or(plan::unfair)
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

  private Optional<Step> unfair() {
    return shelves.stream()
        .filter(shelf -> shelf.mib() > 0 && shelf.isTenants())
        .filter(shelf -> used(shelf.owner()) > share(shelf.owner()) && machines(shelf.owner()) > 1)
        .max(Comparator.comparingDouble(Shelf::supply))
        .map(shelf -> new Step.Drop(shelf.template(), Reason.SHARE));
  }

  private int used(String owner) {
    return of(owner).mapToInt(Shelf::mib).sum();
  }

  private int machines(String owner) {
    return of(owner).mapToInt(shelf -> shelf.restored() + shelf.waiting()).sum();
  }

  private Stream<Shelf> of(String owner) {
    return shelves.stream().filter(shelf -> shelf.owner().equals(owner));
  }

  private int share(String owner) {
    return shares.getOrDefault(owner, 0);
  }

  private Optional<Step> restored(boolean slotFree) {
    return shelves.stream()
        .filter(shelf -> shelf.restored() < wanted(config.restored(), shelf))
        .filter(shelf -> shelf.waiting() > 0 || slotFree)
        .filter(shelf ->
            fits(
                shelf,
                PoolConfig.RESTORED_MIB - (shelf.waiting() > 0 ? PoolConfig.WAITING_MIB : 0),
                shelf.waiting() > 0 ? 1 : 0))
        .min(Comparator.comparingDouble(Shelf::supply))
        .map(shelf ->
            shelf.waiting() > 0
                ? new Step.Restore(shelf.template())
                : new Step.Start(shelf.template()));
  }

  private Optional<Step> waiting() {
    return shelves.stream()
        .filter(shelf -> shelf.waiting() < wanted(config.waiting(), shelf))
        .filter(shelf -> fits(shelf, PoolConfig.WAITING_MIB, 0))
        .min(Comparator.comparingInt(Shelf::waiting))
        .map(shelf -> new Step.Start(shelf.template()));
  }

  /**
   * @param already how many of the shelf's machines it is about
   */
  private boolean fits(Shelf shelf, int mib, int already) {
    return usedMib + mib <= config.memoryMib()
        && availableMib - mib >= config.hostReserveMib()
        && (!shelf.isTenants() || isFair(shelf.owner(), mib, already));
  }

  private boolean isFair(String owner, int mib, int already) {
    int all = shelves.stream().filter(Shelf::isTenants).mapToInt(Shelf::mib).sum();
    return all + mib <= tenantsMib()
        && (machines(owner) == already || used(owner) + mib <= share(owner));
  }

  private static int wanted(int most, Shelf shelf) {
    if (shelf.isTenants() && shelf.demand() < ASKED_FOR) {
      return 0;
    }
    return (int) Math.min(most, 1 + Math.floor(shelf.demand()));
  }
}
