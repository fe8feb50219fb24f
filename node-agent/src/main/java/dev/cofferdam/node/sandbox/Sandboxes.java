package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.DiskRoom;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.journal.Journal;
import dev.cofferdam.node.journal.JournalEntry;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.pool.MachinePool;
import dev.cofferdam.node.pool.Pooled;
import dev.cofferdam.node.sandbox.SandboxState.Ended;
import dev.cofferdam.node.sandbox.SandboxState.Halting;
import dev.cofferdam.node.sandbox.SandboxState.Paused;
import dev.cofferdam.node.sandbox.SandboxState.Removing;
import dev.cofferdam.node.sandbox.SandboxState.Running;
import dev.cofferdam.node.sandbox.SandboxState.Starting;
import dev.cofferdam.node.sandbox.SandboxState.Suspended;
import dev.cofferdam.node.slot.Slot;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.snapshot.Snapshot;
import dev.cofferdam.node.template.Template;
import dev.cofferdam.node.template.TemplateCatalog;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Every sandbox of this node. Whatever happens to one happens under its lock, one thing at a time;
 * safe for use by several threads.
 */
public final class Sandboxes implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Sandboxes.class);

  /** Of a guest that writes its volumes out before it is ended; whoever ends it waits longer. */
  private static final Duration SYNC = Duration.ofSeconds(10);

  /** How the outside sees a running sandbox. */
  public record Entry(String sandbox, long epoch) {}

  /** How the outside sees a sandbox that is here. */
  public record Present(String sandbox, long epoch, SandboxStates.Visible state) {}

  /** Hears of sandboxes whose VM ended by itself, once nothing of them is of use any more. */
  @FunctionalInterface
  public interface LossListener {
    void lost(String sandbox, long epoch, String message);
  }

  private final SandboxMaker maker;
  private final TemplateCatalog templates;
  private final SizeLimits limits;
  private final SlotPool slots;
  private final MachinePool pool;
  private final Hypervisor hypervisor;
  private final Journal journal;
  private final SandboxMetrics metrics;
  private final LongSupplier nanos;
  private final ExecutorService executor;
  private final Semaphore starts;
  private final Capacity capacity;
  private final Cells cells = new Cells();
  private final Ending ending;
  private final Adoption adoption;
  private volatile Admission admission = () -> {};
  private final SleepParts sleep;
  private final SandboxStates states;
  private volatile Function<StartOrder, DiskRoom.Promise> check = _ -> () -> {};
  private volatile LossListener listener = (sandbox, epoch, message) -> {};
  private volatile boolean closed;

  /**
   * @param nanos a clock that never goes back
   * @param parallelStarts how many starts are worked on at a time; others wait
   */
  public Sandboxes(
      SandboxMaker maker,
      Teardown teardown,
      TemplateCatalog templates,
      SizeLimits limits,
      SlotPool slots,
      MachinePool pool,
      Hypervisor hypervisor,
      GuestConnector guests,
      SandboxFiles files,
      Journal journal,
      NodeHelper helper,
      SleepParts sleep,
      SandboxMetrics metrics,
      LongSupplier nanos,
      ExecutorService executor,
      int parallelStarts) {
    this.maker = maker;
    this.templates = templates;
    this.limits = limits;
    this.slots = slots;
    this.pool = pool;
    this.hypervisor = hypervisor;
    this.journal = journal;
    this.metrics = metrics;
    this.nanos = nanos;
    this.executor = executor;
    this.starts = new Semaphore(parallelStarts);
    this.capacity = new Capacity(limits);
    this.ending = new Ending(teardown, capacity, journal, metrics);
    this.adoption =
        new Adoption(
            cells,
            ending,
            capacity,
            hypervisor,
            slots,
            guests,
            files,
            journal,
            helper,
            sleep.standstill,
            sleep.waking,
            executor,
            this::watch);
    this.sleep = sleep;
    this.states = sleep.states(cells, capacity, () -> admission.admit(), metrics, this::watch);
  }

  public void onLoss(LossListener listener) {
    this.listener = listener;
  }

  /** From now on nobody is let in but by it. */
  public void admitBy(Admission admission) {
    this.admission = admission;
  }

  /** What can be done to those that are there. */
  public SandboxStates states() {
    return states;
  }

  /** Asked for each start, before anything is made: it refuses what this node cannot give. */
  public void checkBy(Function<StartOrder, DiskRoom.Promise> newCheck) {
    check = newCheck;
  }

  /** Takes up what an earlier process left: once, before anything else. */
  public void recover(ProcessTable processes) {
    adoption.recover(processes);
  }

  /**
   * Idempotent per sandbox and epoch.
   *
   * @throws RuntimeException a {@link Refusal}, or the gateway's status; nothing half-made is left
   */
  public Started start(StartOrder order) {
    Steps steps = new Steps(nanos);
    return cells.locked(
        order.sandbox(),
        cell ->
            switch (Fencing.start(cell.state, order.epoch())) {
              case Fencing.Start.Stale stale -> throw stale(order.sandbox(), order.epoch(), stale);
              case Fencing.Start.Answer _ ->
                  new Started(hypervisor.isolation(), Optional.empty(), Map.of());
              case Fencing.Start.Replace _ -> {
                ending.remove(order.sandbox(), cell);
                yield begin(order, cell, steps);
              }
              case Fencing.Start.Begin _ -> begin(order, cell, steps);
            });
  }

  /**
   * Idempotent: removing what is not here succeeds, and keeps its epoch from starting later.
   *
   * @param epoch 0: whatever runs
   * @throws Refusal STALE_EPOCH, or INTERNAL when something is left; it is tried again by itself
   */
  public void remove(String sandbox, long epoch) {
    StartOrder.requireId(sandbox);
    cells.run(
        sandbox,
        cell -> {
          if (epoch != 0 && Fencing.staleRemove(cell.state, epoch)) {
            throw stale(
                sandbox,
                epoch,
                new Fencing.Start.Stale(cell.state == null ? 0 : cell.state.epoch()));
          }
          if (cell.state instanceof Running running) {
            syncVolumes(sandbox, running);
          }
          ending.remove(sandbox, cell);
          states.forget(sandbox);
          if (epoch != 0
              && !(cell.state instanceof Ended e && e.epoch() == epoch && !e.repeatable())) {
            journal.append(new JournalEntry.Ended(sandbox, epoch, false));
            cell.state = new Ended(epoch, false);
          }
        });
  }

  /**
   * Whoever has its volumes next finds what it wrote: its VM is about to be killed. A guest that
   * does not do so in time has itself to blame.
   */
  private void syncVolumes(String sandbox, Running running) {
    try {
      if (!sleep.profiles.read(sandbox).volumes().isEmpty()) {
        running.guest().freeze(running.token(), SYNC);
      }
    } catch (GuestException | MachineException e) {
      log.atWarn()
          .setMessage("volumes_not_synced")
          .addKeyValue("sandbox", sandbox)
          .addKeyValue("why", e.getMessage())
          .log();
    }
  }

  /**
   * @throws Refusal SANDBOX_NOT_FOUND or SANDBOX_NOT_RUNNING
   */
  public Relay relay(String sandbox) {
    return switch (cells.peek(sandbox)) {
      case Running running -> new Relay(running.guest(), running.token());
      case Halting _ -> throw notRunning(sandbox, "stands still");
      case Paused _ -> throw notRunning(sandbox, "is paused");
      case Suspended _ -> throw notRunning(sandbox, "is suspended");
      case Starting _ -> throw notRunning(sandbox, "is being started");
      case Removing _ -> throw notRunning(sandbox, "is being removed");
      case Ended _ -> throw notRunning(sandbox, "has ended");
      case null ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND, sandbox + " is not on this node");
    };
  }

  /** Everything that runs here. */
  public List<Entry> running() {
    return present().stream()
        .filter(present -> present.state() == SandboxStates.Visible.RUNNING)
        .map(present -> new Entry(present.sandbox(), present.epoch()))
        .toList();
  }

  /** What is paused for as long as this node is cut off from the scheduler. */
  List<Entry> cutOff() {
    List<Entry> entries = new ArrayList<>();
    cells.forEach((sandbox, state) -> {
      if (state instanceof Paused paused && paused.cutOff()) {
        entries.add(new Entry(sandbox, state.epoch()));
      }
    });
    return entries;
  }

  /** Everything that is here and answered once, awake or not. */
  public List<Present> present() {
    List<Present> entries = new ArrayList<>();
    cells.forEach((sandbox, state) ->
        visible(state)
            .ifPresent(visible -> entries.add(new Present(sandbox, state.epoch(), visible))));
    return entries;
  }

  /** The slot of each sandbox that has a VM. */
  public Map<String, Integer> occupied() {
    Map<String, Integer> found = new HashMap<>();
    cells.forEach((sandbox, state) ->
        SandboxState.live(state).ifPresent(running -> found.put(sandbox, running.slot().number())));
    return found;
  }

  /** How many sandboxes are in each state, by its name; none that has ended. */
  public Map<String, Integer> counts() {
    Map<String, Integer> counts = new HashMap<>();
    cells.forEach((sandbox, state) -> {
      if (!(state instanceof Ended)) {
        counts.merge(state.getClass().getSimpleName().toLowerCase(Locale.ROOT), 1, Integer::sum);
      }
    });
    return counts;
  }

  private static Optional<SandboxStates.Visible> visible(SandboxState state) {
    return switch (state) {
      // Something is being done to it; it is on its way to run, or to a state that will be told.
      case Running _, Halting _ -> Optional.of(SandboxStates.Visible.RUNNING);
      case Paused _ -> Optional.of(SandboxStates.Visible.PAUSED);
      case Suspended _ -> Optional.of(SandboxStates.Visible.SUSPENDED);
      case Starting _, Removing _, Ended _ -> Optional.empty();
    };
  }

  public int freeMemoryMib() {
    return capacity.freeMemoryMib();
  }

  /** Tries again what could not be removed. */
  public void sweep() {
    List<String> names = new ArrayList<>();
    cells.forEach((sandbox, state) -> {
      if (state instanceof Removing) {
        names.add(sandbox);
      }
    });
    for (String sandbox : names) {
      cells.run(
          sandbox,
          cell -> {
            if (cell.state instanceof Removing) {
              ending.tryAgainLater(sandbox, cell, false);
            }
          });
    }
  }

  /** Lets go of every sandbox; all run on. */
  @Override
  public void close() {
    closed = true;
    cells.forEach((sandbox, state) ->
        SandboxState.live(state)
            .ifPresent(running -> {
              running.guest().close();
              running.machine().close();
            }));
  }

  private Started begin(StartOrder order, Cells.Cell cell, Steps steps) {
    Optional<Snapshot> snapshot = order.snapshot().map(sleep.store::require);
    snapshot.ifPresent(found -> sleep.forks.require(order, found));
    Source source =
        snapshot.isPresent()
            ? new Source.Fork(snapshot.get())
            : new Source.Fresh(templates.require(order.template(), order.size()));
    limits.require(order.size());
    try (var _ = pool.start()) {
      admission.admit();
      try (var _ = check.apply(order)) {
        capacity.reserve(order.size());
        return admitted(order, source, cell, steps);
      }
    }
  }

  private Started admitted(StartOrder order, Source source, Cells.Cell cell, Steps steps) {
    if (source instanceof Source.Fresh fresh) {
      return fresh(order, fresh.template(), cell, steps);
    }
    starts.acquireUninterruptibly();
    try {
      return begin(order, source, new Place.Empty(claim(order, steps)), cell, steps);
    } finally {
      starts.release();
    }
  }

  private Started fresh(StartOrder order, Template template, Cells.Cell cell, Steps steps) {
    Source source = new Source.Fresh(template);
    Optional<Pooled> pooled = fromPool(order, template, steps);
    if (pooled.isPresent() && pooled.get() instanceof Pooled.Restored) {
      return begin(order, source, new Place.Pooled(pooled.get()), cell, steps);
    }
    starts.acquireUninterruptibly();
    try {
      Place place =
          pooled.isPresent()
              ? new Place.Pooled(pooled.get())
              : new Place.Empty(claim(order, steps));
      return begin(order, source, place, cell, steps);
    } finally {
      starts.release();
    }
  }

  private Started begin(
      StartOrder order, Source source, Place place, Cells.Cell cell, Steps steps) {
    cell.state = new Starting(order.epoch());
    return make(order, source, place, cell, steps);
  }

  /**
   * What is restored there is ready at once, and waits for no other start. Its VMMs have no
   * volumes.
   */
  private Optional<Pooled> fromPool(StartOrder order, Template template, Steps steps) {
    boolean claimed = false;
    try {
      Optional<Pooled> pooled =
          order.volumeIds().isEmpty() && order.size().equals(template.size())
              ? pool.claim(order.template(), template, steps)
              : Optional.empty();
      claimed = true;
      return pooled;
    } finally {
      if (!claimed) {
        capacity.release(order.size());
      }
    }
  }

  /** What a sandbox is made of. */
  private sealed interface Source {
    record Fresh(Template template) implements Source {}

    record Fork(Snapshot snapshot) implements Source {}
  }

  private SandboxMaker.Made made(StartOrder order, Source source, Place place, Steps steps) {
    return switch (source) {
      case Source.Fresh(Template template) -> {
        SandboxMaker.Made made = maker.make(order, template, place, steps);
        sleep.profiles.write(order, template.image().digest(), template.image().kernelArguments());
        yield made;
      }
      case Source.Fork(Snapshot snapshot) -> {
        Running running = sleep.forks.make(order, snapshot, place.slot(), steps);
        sleep.profiles.write(order, snapshot.image(), snapshot.kernelArguments());
        yield new SandboxMaker.Made(running, snapshot.full() ? StartWay.RESTORED : StartWay.BOOTED);
      }
    };
  }

  private Slot claim(StartOrder order, Steps steps) {
    boolean claimed = false;
    try {
      Slot slot =
          steps
              .time("slot", this::freeSlot)
              .orElseThrow(() ->
                  new Refusal(
                      ErrorReason.ERROR_REASON_NO_CAPACITY, "every slot of this node is taken"));
      claimed = true;
      return slot;
    } catch (HelperException e) {
      metrics.failed();
      throw SandboxMaker.failed(order, e);
    } finally {
      if (!claimed) {
        capacity.release(order.size());
      }
    }
  }

  /** The pool's are lent to it. */
  private Optional<Slot> freeSlot() {
    while (true) {
      Optional<Slot> slot = slots.claim();
      if (slot.isPresent() || !pool.giveUpOne()) {
        return slot;
      }
    }
  }

  private Started make(StartOrder order, Source source, Place place, Cells.Cell cell, Steps steps) {
    String sandbox = order.sandbox();
    int slot = place.slot().number();
    try {
      steps.time(
          "journal", () -> journal.note(new JournalEntry.Claimed(sandbox, order.epoch(), slot)));
      SandboxMaker.Made made = made(order, source, place, steps);
      Running running = made.running();
      steps.time("journal", () -> journal.note(Sleeper.entry(sandbox, running)));
      cell.state = running;
      watch(sandbox, running);
      steps.reached("total");
      metrics.started(made.way(), steps.millis());
      log.atInfo()
          .setMessage("sandbox_started")
          .addKeyValue("sandbox", sandbox)
          .addKeyValue("epoch", order.epoch())
          .addKeyValue("slot", slot)
          .addKeyValue("way", made.way())
          .addKeyValue("steps_ms", steps.millis())
          .log();
      return new Started(hypervisor.isolation(), Optional.of(made.way()), steps.millis());
    } catch (RuntimeException | Error e) {
      metrics.failed();
      log.atWarn()
          .setMessage("sandbox_not_started")
          .addKeyValue("sandbox", sandbox)
          .addKeyValue("cause", e.toString())
          .log();
      cell.state = new Removing(order.epoch(), slot, Optional.of(order.size()));
      ending.tryAgainLater(sandbox, cell, true);
      throw e;
    }
  }

  private void watch(String sandbox, Running running) {
    var _ =
        running
            .machine()
            .ended()
            .thenAccept(why -> executor.execute(() -> lost(sandbox, running, why)));
  }

  private void lost(String sandbox, Running running, String why) {
    if (closed) {
      return;
    }
    boolean mine =
        cells.locked(
            sandbox,
            cell -> {
              Optional<Running> now = SandboxState.live(cell.state);
              if (now.isEmpty()
                  || !now.get().machine().process().equals(running.machine().process())) {
                return false;
              }
              ending.lost(sandbox, cell, now.get(), why);
              states.forget(sandbox);
              return true;
            });
    if (mine) {
      metrics.lost();
      log.atWarn()
          .setMessage("sandbox_lost")
          .addKeyValue("sandbox", sandbox)
          .addKeyValue("why", why)
          .log();
      listener.lost(sandbox, running.epoch(), why);
    }
  }

  static Refusal stale(String sandbox, long epoch, Fencing.Start.Stale stale) {
    return new Refusal(
        ErrorReason.ERROR_REASON_STALE_EPOCH,
        "epoch of %s is %s, expected more than what this node has seen: %s"
            .formatted(
                sandbox, Long.toUnsignedString(epoch), Long.toUnsignedString(stale.highest())));
  }

  private static Refusal notRunning(String sandbox, String what) {
    return new Refusal(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING, sandbox + " " + what);
  }
}
