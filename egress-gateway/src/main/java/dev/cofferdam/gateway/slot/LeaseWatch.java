package dev.cofferdam.gateway.slot;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at the clock for what is open in the slots: rules of policies have their time, and all ends
 * with the lease. Connections and requests ask for the lease when they begin; a relay that has
 * begun would ask no more and outlive it for as long as it likes.
 */
public final class LeaseWatch implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(LeaseWatch.class);
  private static final long EVERY_MILLIS = 1000;

  private final PolicyLease lease;
  private final SlotTable slots;
  private final Thread thread;
  private boolean expired;

  private LeaseWatch(PolicyLease lease, SlotTable slots, boolean ticks) {
    this.lease = lease;
    this.slots = slots;
    this.thread = Thread.ofVirtual().name("lease").unstarted(this::run);
    if (ticks) {
      thread.start();
    }
  }

  public static LeaseWatch start(PolicyLease lease, SlotTable slots) {
    return new LeaseWatch(lease, slots, true);
  }

  /** One that looks only when it is told to. */
  public static LeaseWatch manual(PolicyLease lease, SlotTable slots) {
    return new LeaseWatch(lease, slots, false);
  }

  private void run() {
    try {
      while (!Thread.currentThread().isInterrupted()) {
        Thread.sleep(EVERY_MILLIS);
        tick();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** While it is expired at every look: something may have begun just before the end. */
  public synchronized void tick() {
    slots.keepTime();
    boolean now = lease.expired();
    if (now) {
      slots.endTenants();
    }
    if (now && !expired) {
      log.atWarn().setMessage("lease_expired").log();
    }
    expired = now;
  }

  @Override
  public void close() {
    thread.interrupt();
  }
}
