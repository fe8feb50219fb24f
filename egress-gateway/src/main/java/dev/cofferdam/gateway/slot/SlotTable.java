package dev.cofferdam.gateway.slot;

import com.google.protobuf.ByteString;
import java.net.InetAddress;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

/**
 * Which sandbox is at which slot's address: the only thing by which a guest is known. Changes are
 * serialised; look-ups never wait.
 *
 * <p>Only the stream of attachments puts something in, for it alone has the broker's order. A call
 * that was answered late cannot bring back who has left a slot meanwhile: it waits here until the
 * stream has told of it.
 */
public final class SlotTable {
  private final RandomGenerator random;
  private final InstantSource clock;
  private final Map<InetAddress, Slot> byAddress = new ConcurrentHashMap<>();

  /** Egress sessions, which no address stands for, by the SHA-256 of their tokens. */
  private final Map<ByteString, Slot> byToken = new ConcurrentHashMap<>();

  private final Map<String, Slot> bySandbox = new HashMap<>();
  private final Map<String, SyntheticNames> byLineage = new HashMap<>();

  /** The epoch that a node ended while the stream may not know of it yet. */
  private final Map<OnNode, Long> leaving = new HashMap<>();

  /** A node's word counts for what is on it, and for no other's. */
  private record OnNode(String sandbox, String node) {
    static OnNode of(Attachment attachment) {
      return new OnNode(attachment.sandbox(), attachment.node());
    }
  }

  private final Set<String> seenSinceSync = new HashSet<>();
  private volatile boolean synchronised;

  /**
   * @param random where each lineage's synthetic addresses begin
   * @param clock by which policies' rules have their time
   */
  public SlotTable(RandomGenerator random, InstantSource clock) {
    this.random = random;
    this.clock = clock;
  }

  /** Puts into force what the time has changed in policies, and out of force. */
  synchronized void keepTime() {
    Instant now = clock.instant();
    for (Slot slot : bySandbox.values()) {
      Attachment before = slot.attachment();
      Attachment present = before.at(now);
      if (!present.equals(before)) {
        slot.update(present);
      }
    }
  }

  public Optional<Slot> at(InetAddress address) {
    return Optional.ofNullable(byAddress.get(address));
  }

  /**
   * The egress session whose token has this SHA-256. How long the look-up takes tells something of
   * hashes at most, from which no token can be found.
   */
  public Optional<Slot> ofToken(ByteString hash) {
    return Optional.ofNullable(byToken.get(hash));
  }

  /** Whether the broker has told everything once since this process started. */
  public boolean synchronised() {
    return synchronised;
  }

  /**
   * Attaches, or replaces what is known of the sandbox. In the order of the stream; an older epoch,
   * and one that a node has ended, change nothing.
   *
   * @return whether it is in force
   */
  public synchronized boolean put(Attachment told) {
    Attachment attachment = told.at(clock.instant());
    seenSinceSync.add(attachment.sandbox());
    if (attachment.epoch() <= leaving.getOrDefault(OnNode.of(attachment), -1L)) {
      return false;
    }
    Slot known = bySandbox.get(attachment.sandbox());
    if (known != null) {
      Attachment before = known.attachment();
      if (attachment.epoch() < before.epoch()
          || (attachment.epoch() == before.epoch() && attachment.revision() < before.revision())) {
        return false;
      }
      if (before.slot().equals(attachment.slot())
          && before.tokenHash().equals(attachment.tokenHash())
          && before.generation() == attachment.generation()) {
        known.update(attachment);
        notifyAll();
        return true;
      }
      drop(attachment.sandbox());
    }
    Slot occupant = byAddress.get(attachment.slot());
    if (occupant != null) {
      drop(occupant.attachment().sandbox());
    }
    Slot slot =
        new Slot(
            attachment,
            byLineage.computeIfAbsent(attachment.lineage(), _ -> new SyntheticNames(random)));
    bySandbox.put(attachment.sandbox(), slot);
    attachment
        .tokenHash()
        .ifPresentOrElse(
            hash -> byToken.put(hash, slot), () -> byAddress.put(attachment.slot(), slot));
    notifyAll();
    return true;
  }

  /**
   * Waits until the stream has told of what the broker attached.
   *
   * @return what is in force of the sandbox in its slot; empty when it was not told in time, or
   *     when it is over already
   */
  public synchronized Optional<Attachment> await(Attachment made, Duration atMost)
      throws InterruptedException {
    long end = System.nanoTime() + atMost.toNanos();
    while (true) {
      Slot slot = bySandbox.get(made.sandbox());
      if (slot != null && slot.attachment().includes(made)) {
        return Optional.of(slot.attachment());
      }
      boolean over =
          made.epoch() <= leaving.getOrDefault(OnNode.of(made), -1L)
              || (slot != null && slot.attachment().epoch() > made.epoch());
      long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
      if (over || left <= 0) {
        return Optional.empty();
      }
      wait(left);
    }
  }

  /** The stream's word. Idempotent. */
  public synchronized void detach(String sandbox) {
    leaving.keySet().removeIf(left -> left.sandbox().equals(sandbox));
    drop(sandbox);
  }

  /**
   * A node's word, which the broker may not have heard: until {@link #left} the stream cannot bring
   * it back.
   *
   * @param node who says so; a sandbox that is on another one, or an egress session, stays
   * @param epoch of the assignment that ended; a later one stays
   */
  public synchronized void detach(String sandbox, String node, long epoch) {
    leaving.merge(new OnNode(sandbox, node), epoch, Math::max);
    notifyAll();
    Slot slot = bySandbox.get(sandbox);
    if (slot != null
        && slot.attachment().node().equals(node)
        && slot.attachment().epoch() <= epoch) {
      drop(sandbox);
    }
  }

  /** The broker has heard what the node said: what the stream tells from now on is later. */
  public synchronized void left(String sandbox, String node) {
    leaving.remove(new OnNode(sandbox, node));
  }

  /** A new stream of attachments begins. */
  public synchronized void syncStarts() {
    seenSinceSync.clear();
  }

  /** All that is attached was told: what was not, is gone. */
  public synchronized void syncEnds() {
    Set<String> gone = new HashSet<>(bySandbox.keySet());
    gone.removeAll(seenSinceSync);
    gone.forEach(this::drop);
    synchronised = true;
  }

  /** Ends everything that lives in any slot; the slots stay. */
  void endTenants() {
    byAddress.values().forEach(Slot::endTenants);
    byToken.values().forEach(Slot::endTenants);
  }

  public synchronized int size() {
    return bySandbox.size();
  }

  private void drop(String sandbox) {
    Slot slot = bySandbox.remove(sandbox);
    if (slot == null) {
      return;
    }
    byAddress.remove(slot.attachment().slot(), slot);
    slot.attachment().tokenHash().ifPresent(hash -> byToken.remove(hash, slot));
    slot.end();
    String lineage = slot.attachment().lineage();
    if (bySandbox.values().stream().noneMatch(s -> s.attachment().lineage().equals(lineage))) {
      byLineage.remove(lineage);
    }
  }
}
