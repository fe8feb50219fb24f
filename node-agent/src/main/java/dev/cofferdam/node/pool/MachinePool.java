package dev.cofferdam.node.pool;

import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.pool.PoolMetrics.Found;
import dev.cofferdam.node.pool.PoolMetrics.Kind;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.template.Offer;
import dev.cofferdam.node.template.Template;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Machines made ahead of the sandboxes that will be in them, by template: VMMs that wait, and
 * machines restored, rehearsed and paused. A claim takes the best there is and waits for nothing;
 * what it took is made again later, one at a time, when the host has nothing better to do.
 *
 * <p>Safe for use by several threads.
 */
public final class MachinePool implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(MachinePool.class);

  /** After something could not be made. */
  private static final Duration AGAIN = Duration.ofSeconds(5);

  /** Runs something after a while. */
  @FunctionalInterface
  public interface Timer {
    void after(Duration pause, Runnable task);
  }

  private final PoolConfig config;
  private final PoolMaker maker;
  private final SlotPool slots;
  private final Supplier<List<Offer>> offers;
  private final HostLoad load;
  private final PoolMetrics metrics;
  private final LongSupplier nanos;
  private final Timer timer;
  private final ReentrantLock lock = new ReentrantLock();
  private final Shelves shelves = new Shelves();
  private final Demand demand = new Demand();
  private final Pace pace;
  private volatile boolean drained;
  private boolean maintained;
  private boolean scheduled;
  private volatile boolean closed;

  /**
   * @param offers the templates that are ready now, the most important first
   * @param nanos a clock that never goes back
   */
  public MachinePool(
      PoolConfig config,
      PoolMaker maker,
      SlotPool slots,
      Supplier<List<Offer>> offers,
      HostLoad load,
      PoolMetrics metrics,
      LongSupplier nanos,
      Timer timer) {
    this.config = config;
    this.maker = maker;
    this.slots = slots;
    this.offers = offers;
    this.load = load;
    this.metrics = metrics;
    this.nanos = nanos;
    this.timer = timer;
    this.pace = new Pace(load, nanos.getAsLong());
    for (Kind kind : Kind.values()) {
      metrics.depth("restored", kind, () -> depths(kind, shelves::restored));
      metrics.depth("waiting", kind, () -> depths(kind, shelves::waiting));
    }
    metrics.missing(this::missing);
  }

  /** A start under way; nothing is made ahead until it is closed. */
  public interface Start extends AutoCloseable {
    @Override
    void close();
  }

  public Start start() {
    locked(() -> {
      pace.startBegins();
      return true;
    });
    return () -> {
      locked(() -> {
        pace.startEnds(nanos.getAsLong());
        return true;
      });
      maintainAfter(Pace.QUIET);
    };
  }

  /**
   * A machine of the template and of its size, the caller's from now on. A restored one runs; one
   * that waits is as it was made.
   *
   * @param name that the template was asked for by
   */
  public Optional<Pooled> claim(String name, Template template, Steps steps) {
    Kind kind = Kind.of(name);
    locked(() -> {
      demand.claimed(template.name(), nanos.getAsLong());
      return true;
    });
    while (true) {
      Optional<Pooled> taken = locked(() -> shelves.take(template.name()));
      if (taken.isEmpty() || taken.get() instanceof Pooled.Waiting) {
        metrics.claimed(taken.isEmpty() ? Found.NOTHING : Found.WAITING, kind);
        return taken;
      }
      if (taken.get() instanceof Pooled.Restored restored && woken(restored, steps)) {
        metrics.claimed(Found.RESTORED, kind);
        return taken;
      }
    }
  }

  private boolean woken(Pooled.Restored restored, Steps steps) {
    try {
      steps.time("resume", restored.machine()::resume);
      return true;
    } catch (MachineException e) {
      failed("pooled_machine_lost", restored.template().name(), e);
      timer.after(Duration.ZERO, () -> maker.discard(restored));
      return false;
    }
  }

  /**
   * Gives one up for its slot.
   *
   * @return false when there is none
   */
  public boolean giveUpOne() {
    Optional<Pooled> worst =
        locked(() -> {
          for (String template : shelves.templates()) {
            Optional<Pooled> found = shelves.takeWorst(template);
            if (found.isPresent()) {
              return found;
            }
          }
          return Optional.<Pooled>empty();
        });
    worst.ifPresent(pooled -> {
      metrics.dropped(PoolPlan.Reason.SURPLUS);
      maker.discard(pooled);
    });
    return worst.isPresent();
  }

  /**
   * A drained node needs no pool: nothing more is made, and the next round gives up what is there.
   */
  public void drain(boolean now) {
    if (drained != now) {
      drained = now;
      maintainAfter(Duration.ZERO);
    }
  }

  private PoolConfig wanted() {
    return drained ? new PoolConfig(0, 0, config.memoryMib(), config.hostReserveMib()) : config;
  }

  /** How many of a template wait restored: none are left out. */
  public Map<Offer, Integer> restored() {
    List<Offer> ready = offers.get();
    return locked(() -> {
      Map<Offer, Integer> depths = new LinkedHashMap<>();
      ready.forEach(offer -> depths.put(offer, shelves.restored(offer.template().name())));
      return depths;
    });
  }

  /** How many slots it holds. */
  public int size() {
    return depths(shelves::restored) + depths(shelves::waiting);
  }

  private int missing() {
    Collection<Offer> ready = distinct();
    return locked(() -> PoolPlan.missing(wanted(), view(ready)));
  }

  private int depths(ToIntFunction<String> depth) {
    return locked(() -> shelves.templates().stream().mapToInt(depth).sum());
  }

  private int depths(Kind kind, ToIntFunction<String> depth) {
    Collection<Offer> ready = distinct();
    return locked(() ->
        ready.stream()
            .filter(offer -> Kind.of(offer.name()) == kind)
            .mapToInt(offer -> depth.applyAsInt(offer.template().name()))
            .sum());
  }

  /** What several offer, because their images are equal, is the first one's. The order counts. */
  private Collection<Offer> distinct() {
    Map<String, Offer> byTemplate = new LinkedHashMap<>();
    offers.get().forEach(offer -> byTemplate.putIfAbsent(offer.template().name(), offer));
    return byTemplate.values();
  }

  /**
   * Makes what is missing and gives up what is too much, one thing after another, for as long as
   * the pace allows. Quiet about failures: it will be called again.
   */
  public void maintain() {
    boolean mine =
        locked(() -> {
          boolean free = !maintained && !closed;
          maintained |= free;
          return free;
        });
    if (!mine) {
      return;
    }
    try {
      dropForeign();
      while (!closed && step()) {
        // Looked at anew after each, for whatever came in between.
      }
    } catch (IOException | RuntimeException e) {
      failed("pool_not_filled", "", e);
      maintainAfter(AGAIN);
    } finally {
      locked(() -> {
        maintained = false;
        return true;
      });
    }
  }

  /** Lets go of everything; the next start of this process destroys it. */
  @Override
  public void close() {
    closed = true;
    List<Pooled> all = locked(() -> List.copyOf(shelves.keep(Set.of())));
    for (Pooled pooled : all) {
      switch (pooled) {
        case Pooled.Waiting waiting -> waiting.machine().close();
        case Pooled.Restored restored -> {
          restored.guest().close();
          restored.machine().close();
        }
      }
    }
  }

  /** Whether it is worth looking again at once. */
  private boolean step() throws IOException {
    Collection<Offer> ready = distinct();
    long available = load.availableMib();
    boolean slotFree = slots.available() > 0;
    Optional<PoolPlan.Step> next =
        locked(() -> PoolPlan.next(wanted(), view(ready), available, slotFree));
    if (next.isEmpty()) {
      return false;
    }
    if (next.get() instanceof PoolPlan.Step.Drop drop) {
      return drop(drop);
    }
    Duration pause = locked(() -> pace.pause(nanos.getAsLong()));
    if (!pause.isZero()) {
      if (!pause.isNegative()) {
        maintainAfter(pause);
      }
      return false;
    }
    String wanted = next.get().template();
    Offer offer =
        ready.stream()
            .filter(each -> each.template().name().equals(wanted))
            .findFirst()
            .orElseThrow();
    Template template = offer.template();
    long begin = nanos.getAsLong();
    Optional<? extends Pooled> made =
        next.get() instanceof PoolPlan.Step.Restore
            ? locked(() -> shelves.takeWaiting(template.name())).map(maker::restore)
            : maker.start(template);
    long end = nanos.getAsLong();
    locked(() -> {
      pace.made(end);
      return true;
    });
    made.ifPresent(pooled -> put(pooled, Kind.of(offer.name()), end - begin));
    return made.isPresent();
  }

  private void put(Pooled pooled, Kind kind, long took) {
    metrics.made(pooled instanceof Pooled.Restored ? "restored" : "waiting", kind, took);
    boolean late =
        locked(() -> {
          if (!closed) {
            shelves.put(pooled);
          }
          return closed;
        });
    if (late) {
      maker.discard(pooled);
      return;
    }
    CompletionStage<String> ended =
        switch (pooled) {
          case Pooled.Waiting waiting -> waiting.machine().ended();
          case Pooled.Restored restored -> restored.machine().ended();
        };
    var _ = ended.thenAccept(why -> lost(pooled, why));
  }

  /** What was claimed or restored meanwhile is no longer here. */
  private void lost(Pooled pooled, String why) {
    if (!closed && locked(() -> shelves.remove(pooled))) {
      failed("pooled_machine_lost", pooled.template().name(), new MachineException(why));
      timer.after(Duration.ZERO, () -> maker.discard(pooled));
    }
  }

  private boolean drop(PoolPlan.Step.Drop drop) {
    Optional<Pooled> worst = locked(() -> shelves.takeWorst(drop.template()));
    worst.ifPresent(pooled -> {
      metrics.dropped(drop.reason());
      maker.discard(pooled);
    });
    return worst.isPresent();
  }

  /** Of templates that are gone, or were made anew. */
  private void dropForeign() {
    Set<String> names =
        offers.get().stream()
            .map(offer -> offer.template().name())
            .collect(Collectors.toUnmodifiableSet());
    List<Pooled> foreign =
        locked(() -> {
          demand.keep(names);
          return shelves.keep(names);
        });
    for (Pooled pooled : foreign) {
      metrics.dropped(PoolPlan.Reason.SURPLUS);
      maker.discard(pooled);
    }
  }

  private List<PoolPlan.Shelf> view(Collection<Offer> ready) {
    long now = nanos.getAsLong();
    List<PoolPlan.Shelf> view = new ArrayList<>();
    for (Offer offer : ready) {
      String name = offer.template().name();
      view.add(
          new PoolPlan.Shelf(
              name,
              offer.owner(),
              demand.of(name, now),
              shelves.restored(name),
              shelves.waiting(name)));
    }
    return view;
  }

  /** One appointment at a time: the task makes the next one itself. */
  private void maintainAfter(Duration pause) {
    boolean first =
        locked(() -> {
          boolean free = !scheduled && !closed;
          scheduled |= free;
          return free;
        });
    if (first) {
      timer.after(
          pause,
          () -> {
            locked(() -> {
              scheduled = false;
              return true;
            });
            maintain();
          });
    }
  }

  private void failed(String event, String template, Exception cause) {
    metrics.failed();
    log.atWarn().setMessage(event).addKeyValue("template", template).setCause(cause).log();
  }

  private <T> T locked(Supplier<T> work) {
    lock.lock();
    try {
      return work.get();
    } finally {
      lock.unlock();
    }
  }
}
