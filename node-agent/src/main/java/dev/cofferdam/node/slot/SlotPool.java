package dev.cofferdam.node.slot;

import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.helper.SlotInfo;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Executor;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The node's slots. Some stand ready, so that a create does not wait for a namespace; a slot that
 * was used is destroyed and made anew, and one that could not be destroyed is held back until it
 * is.
 *
 * <p>Every number is in exactly one place: free, ready, in use, dirty, or with a thread that moves
 * it from one to another. Safe for use by several threads.
 */
public final class SlotPool {
  private static final Logger log = LoggerFactory.getLogger(SlotPool.class);

  private final NodeHelper helper;
  private final int spare;
  private final Executor executor;
  private final Occupants occupants;
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeSet<Integer> free = new TreeSet<>();
  private final Deque<Slot> ready = new ArrayDeque<>();
  private final Set<Integer> used = new TreeSet<>();
  private final Set<Integer> dirty = new TreeSet<>();
  private boolean refilling;
  private volatile boolean drained;

  /**
   * @param max how many slots there may be, spares included
   * @param spare how many to hold ready
   * @param executor runs what may be done later
   * @param occupants learns who is found in a slot, and which are empty
   */
  public SlotPool(NodeHelper helper, int max, int spare, Executor executor, Occupants occupants) {
    if (spare < 0 || spare > max) {
      throw new IllegalArgumentException("spare is " + spare + ", expected 0 to " + max);
    }
    this.helper = helper;
    this.spare = spare;
    this.executor = executor;
    this.occupants = occupants;
    for (int number = 1; number <= max; number++) {
      free.add(number);
    }
  }

  /** At start: what an earlier process left, and no sandbox of ours is in, is destroyed. */
  public void recover(Set<Integer> inUse) {
    Set<Integer> stray = new TreeSet<>(helper.listSlots());
    stray.removeAll(inUse);
    lock.lock();
    try {
      used.addAll(inUse);
      free.removeAll(inUse);
      free.removeAll(stray);
      dirty.addAll(stray);
    } finally {
      lock.unlock();
    }
    maintain();
  }

  /** Empty when all are taken. */
  public Optional<Slot> claim() {
    @Nullable Slot slot;
    @Nullable Integer number = null;
    lock.lock();
    try {
      slot = ready.pollFirst();
      if (slot == null) {
        number = free.pollFirst();
      }
      if (slot != null) {
        used.add(slot.number());
      } else if (number != null) {
        used.add(number);
      }
    } finally {
      lock.unlock();
    }
    if (slot == null && number != null) {
      slot = makeOrHoldBack(number);
    }
    maintainLater();
    return Optional.ofNullable(slot);
  }

  /**
   * The slot of a sandbox that was found in it. Asking for it again changes nothing in the kernel.
   */
  public Slot adopt(int number, String sandbox) {
    Slot slot = make(number);
    occupants.found(number, sandbox);
    lock.lock();
    try {
      free.remove(number);
      used.add(number);
    } finally {
      lock.unlock();
    }
    return slot;
  }

  /**
   * Destroys the slot and everything in it; it may be claimed again afterwards.
   *
   * @throws HelperException when that did not work yet: it is tried again later, and the slot stays
   *     out of use
   */
  public void release(int number) {
    lock.lock();
    try {
      if (!used.remove(number)) {
        return;
      }
    } finally {
      lock.unlock();
    }
    try {
      clean(number);
    } finally {
      maintainLater();
    }
  }

  /**
   * A drained node needs no spares: what stands ready is given back, and made again afterwards. May
   * be said before {@link #recover}.
   */
  public void drain(boolean now) {
    if (drained != now) {
      drained = now;
      maintainLater();
    }
  }

  /** How many could still be claimed. */
  public int available() {
    lock.lock();
    try {
      return free.size() + ready.size();
    } finally {
      lock.unlock();
    }
  }

  public int used() {
    lock.lock();
    try {
      return used.size();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Destroys what is dirty or too much, and makes spares. Quiet about failures: it will be called
   * again.
   */
  public void maintain() {
    lock.lock();
    try {
      if (refilling) {
        return;
      }
      refilling = true;
    } finally {
      lock.unlock();
    }
    try {
      cleanAll();
      while (dropSpare() || makeSpare()) {
        // One at a time, so that a claim in between finds the lock free.
      }
    } catch (HelperException e) {
      log.atWarn().setMessage("slots_not_maintained").addKeyValue("cause", e.getMessage()).log();
    } finally {
      refilled();
    }
  }

  private void refilled() {
    lock.lock();
    try {
      refilling = false;
    } finally {
      lock.unlock();
    }
  }

  private void maintainLater() {
    executor.execute(this::maintain);
  }

  /**
   * Each of them once: one that cannot be destroyed must not keep the others, nor the spares, from
   * their turn.
   */
  private void cleanAll() {
    for (int number : dirty()) {
      if (!take(number)) {
        continue;
      }
      try {
        clean(number);
      } catch (HelperException e) {
        log.atWarn()
            .setMessage("slot_not_cleaned")
            .addKeyValue("slot", number)
            .addKeyValue("cause", e.getMessage())
            .log();
      }
    }
  }

  private List<Integer> dirty() {
    lock.lock();
    try {
      return List.copyOf(dirty);
    } finally {
      lock.unlock();
    }
  }

  private boolean take(int number) {
    lock.lock();
    try {
      return dirty.remove(number);
    } finally {
      lock.unlock();
    }
  }

  /**
   * The number is with this thread alone: nobody else may make the slot anew while it is being
   * destroyed.
   */
  private void clean(int number) {
    boolean clean = false;
    try {
      helper.destroySlot(number);
      occupants.leave(number);
      clean = true;
    } finally {
      lock.lock();
      try {
        (clean ? free : dirty).add(number);
      } finally {
        lock.unlock();
      }
    }
  }

  private int wanted() {
    return drained ? 0 : spare;
  }

  private boolean dropSpare() {
    @Nullable Slot slot;
    lock.lock();
    try {
      slot = ready.size() > wanted() ? ready.pollLast() : null;
    } finally {
      lock.unlock();
    }
    if (slot == null) {
      return false;
    }
    clean(slot.number());
    return true;
  }

  private boolean makeSpare() {
    @Nullable Integer number;
    lock.lock();
    try {
      number = ready.size() < wanted() ? free.pollFirst() : null;
    } finally {
      lock.unlock();
    }
    if (number == null) {
      return false;
    }
    Slot slot = makeOrHoldBack(number);
    lock.lock();
    try {
      ready.addLast(slot);
    } finally {
      lock.unlock();
    }
    return true;
  }

  private Slot makeOrHoldBack(int number) {
    boolean made = false;
    try {
      Slot slot = make(number);
      made = true;
      return slot;
    } finally {
      if (!made) {
        holdBack(number);
      }
    }
  }

  private void holdBack(int number) {
    lock.lock();
    try {
      used.remove(number);
      dirty.add(number);
    } finally {
      lock.unlock();
    }
  }

  private Slot make(int number) {
    SlotInfo info = helper.createSlot(number);
    return new Slot(info.slot(), info.address(), info.link());
  }
}
