package dev.cofferdam.edge.session;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What all sockets together hold of their clients' and for them. Over its limit it ends a socket:
 * of the owner that holds most, the one that holds most. Whoever holds little is not ended for what
 * others hold, and nobody waits for memory, so that none can be made to wait for ever. A socket
 * that ends may hold what it holds until its client was told: with the next that ends, those before
 * it are cut off where together they would hold more than the limit.
 *
 * <p>Safe for use by several threads.
 */
public final class MemoryBudget {
  private final long limit;
  private final Set<Account> open = new HashSet<>();
  private long held;

  /** Of {@code held}, what accounts hold that are about to be closed. */
  private long doomed;

  private long ended;

  /**
   * @param limit bytes
   */
  public MemoryBudget(long limit) {
    this.limit = limit;
  }

  /**
   * For one socket.
   *
   * @param owner whose sockets count together
   */
  public synchronized Account open(String owner) {
    Account account = new Account(owner);
    open.add(account);
    return account;
  }

  /** Bytes. */
  public synchronized long held() {
    return held;
  }

  /** Sockets that it ended. */
  public synchronized long ended() {
    return ended;
  }

  private synchronized List<Runnable> change(Account account, long bytes) {
    List<Runnable> ends = new ArrayList<>();
    if (!open.contains(account)) {
      return ends;
    }
    account.held += bytes;
    held += bytes;
    if (account.isDoomed) {
      doomed += bytes;
    }
    while (held - doomed > limit) {
      Account largest = largest();
      if (doomed + largest.held > limit) {
        ends.addAll(cutDoomed());
      }
      largest.isDoomed = true;
      doomed += largest.held;
      ended++;
      largest.end.ifPresent(ends::add);
    }
    return ends;
  }

  private List<Runnable> cutDoomed() {
    List<Runnable> cuts = new ArrayList<>();
    for (Account account : open) {
      if (account.isDoomed && !account.isCut) {
        account.isCut = true;
        account.cut.ifPresent(cuts::add);
      }
    }
    return cuts;
  }

  /** There is one: what is over the limit is held by somebody. */
  private Account largest() {
    Map<String, Long> owners = new HashMap<>();
    for (Account account : open) {
      if (!account.isDoomed) {
        owners.merge(account.owner, account.held, Long::sum);
      }
    }
    Optional<Account> largest = Optional.empty();
    for (Account account : open) {
      if (!account.isDoomed && (largest.isEmpty() || isLarger(account, largest.get(), owners))) {
        largest = Optional.of(account);
      }
    }
    return largest.orElseThrow();
  }

  private static boolean isLarger(Account one, Account other, Map<String, Long> owners) {
    int byOwner =
        Long.compare(owners.getOrDefault(one.owner, 0L), owners.getOrDefault(other.owner, 0L));
    // Of two owners that hold the same, one loses all that is to go.
    int byName = byOwner == 0 ? one.owner.compareTo(other.owner) : byOwner;
    return byName > 0 || (byName == 0 && one.held > other.held);
  }

  private synchronized void close(Account account) {
    if (open.remove(account)) {
      held -= account.held;
      if (account.isDoomed) {
        doomed -= account.held;
      }
    }
  }

  /** What one socket holds. */
  public final class Account implements AutoCloseable {
    private final String owner;
    private long held;
    private boolean isDoomed;
    private boolean isCut;
    private Optional<Runnable> end = Optional.empty();
    private Optional<Runnable> cut = Optional.empty();

    private Account(String owner) {
      this.owner = owner;
    }

    /**
     * @param tell ends the socket without waiting; runs once, at once where it has to end already
     * @param cutOff lets go of what it holds, told or not; runs once, after the other
     */
    void whenOver(Runnable tell, Runnable cutOff) {
      boolean now;
      boolean alsoCut;
      synchronized (MemoryBudget.this) {
        end = Optional.of(tell);
        cut = Optional.of(cutOff);
        now = isDoomed;
        alsoCut = isCut;
      }
      if (now) {
        tell.run();
      }
      if (alsoCut) {
        cutOff.run();
      }
    }

    /** More is held; may end this socket, or another. Nothing once it is closed. */
    public void add(long bytes) {
      change(this, bytes).forEach(Runnable::run);
    }

    /** Less is held. */
    public void subtract(long bytes) {
      var _ = change(this, -bytes);
    }

    /** Nothing is held any more. */
    @Override
    public void close() {
      MemoryBudget.this.close(this);
    }
  }
}
