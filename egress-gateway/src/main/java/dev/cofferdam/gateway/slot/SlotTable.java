package dev.cofferdam.gateway.slot;

import java.net.InetAddress;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Which sandbox is at which slot's address: the only thing by which a guest is known. Changes are
 * serialised; look-ups never wait.
 */
public final class SlotTable {
  private final Map<InetAddress, Slot> byAddress = new ConcurrentHashMap<>();
  private final Map<String, Slot> bySandbox = new HashMap<>();
  private final Map<String, SyntheticNames> byLineage = new HashMap<>();
  private final Set<String> seenSinceSync = new HashSet<>();
  private volatile boolean synchronised;

  public Optional<Slot> at(InetAddress address) {
    return Optional.ofNullable(byAddress.get(address));
  }

  /** Whether the broker has told everything once since this process started. */
  public boolean synchronised() {
    return synchronised;
  }

  /** Attaches, or replaces what is known of the sandbox. An older epoch changes nothing. */
  public synchronized void put(Attachment attachment) {
    seenSinceSync.add(attachment.sandbox());
    Slot known = bySandbox.get(attachment.sandbox());
    if (known != null) {
      Attachment before = known.attachment();
      if (attachment.epoch() < before.epoch()
          || (attachment.epoch() == before.epoch() && attachment.revision() < before.revision())) {
        return;
      }
      if (before.slot().equals(attachment.slot())
          && before.generation() == attachment.generation()) {
        known.update(attachment);
        return;
      }
      drop(attachment.sandbox());
    }
    Slot occupant = byAddress.get(attachment.slot());
    if (occupant != null) {
      drop(occupant.attachment().sandbox());
    }
    Slot slot =
        new Slot(
            attachment, byLineage.computeIfAbsent(attachment.lineage(), _ -> new SyntheticNames()));
    bySandbox.put(attachment.sandbox(), slot);
    byAddress.put(attachment.slot(), slot);
  }

  /** Idempotent. */
  public synchronized void detach(String sandbox) {
    drop(sandbox);
  }

  /**
   * @param epoch of the assignment that ended; a later one stays
   */
  public synchronized void detach(String sandbox, long epoch) {
    Slot slot = bySandbox.get(sandbox);
    if (slot != null && slot.attachment().epoch() <= epoch) {
      drop(sandbox);
    }
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

  public synchronized int size() {
    return bySandbox.size();
  }

  private void drop(String sandbox) {
    Slot slot = bySandbox.remove(sandbox);
    if (slot == null) {
      return;
    }
    byAddress.remove(slot.attachment().slot(), slot);
    slot.end();
    String lineage = slot.attachment().lineage();
    if (bySandbox.values().stream().noneMatch(s -> s.attachment().lineage().equals(lineage))) {
      byLineage.remove(lineage);
    }
  }
}
