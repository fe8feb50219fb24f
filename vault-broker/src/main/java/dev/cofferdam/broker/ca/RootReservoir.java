package dev.cofferdam.broker.ca;

import dev.cofferdam.broker.ca.CertificateAuthority.Draft;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.function.Supplier;

/**
 * Roots made ahead: a key and its certificate take longer than all else that a sandbox's first
 * grants need. Their keys are in memory until they are taken. Safe for use by several threads.
 */
public final class RootReservoir implements AutoCloseable {
  /** A burst of creates finds one each; all are made anew within a second. */
  private static final int AHEAD = 32;

  private final CertificateAuthority authority;
  private final Supplier<String> ids;
  private final BlockingQueue<Draft> ready = new ArrayBlockingQueue<>(AHEAD);
  private final Thread maker;

  /**
   * @param ids of new lineages, each once
   */
  public RootReservoir(CertificateAuthority authority, Supplier<String> ids) {
    this.authority = authority;
    this.ids = ids;
    this.maker = Thread.ofPlatform().daemon().name("roots").start(this::make);
  }

  /** Makes one itself when none is ready. */
  public LineageRoot take(String tenant) {
    Draft made = ready.poll();
    return authority.seal(made == null ? authority.draft(ids.get()) : made, tenant);
  }

  /** How many can be had at once. */
  public int size() {
    return ready.size();
  }

  @Override
  public void close() {
    maker.interrupt();
    try {
      maker.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    List<Draft> left = new ArrayList<>();
    ready.drainTo(left);
    left.forEach(Draft::wipe);
  }

  private void make() {
    try {
      while (!Thread.currentThread().isInterrupted()) {
        Draft draft = authority.draft(ids.get());
        try {
          ready.put(draft);
        } catch (InterruptedException e) {
          draft.wipe();
          throw e;
        }
      }
    } catch (InterruptedException e) {
      // Closed.
    }
  }
}
