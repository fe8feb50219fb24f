package dev.cofferdam.scheduler.cluster;

import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.SandboxState;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** One node's state. Guarded by the cluster's lock. */
final class Member {
  private NodeRegistration registration;
  private Presence presence = new Presence.Unseen();
  private final Map<String, Held> reserved = new HashMap<>();
  private long reservedMemoryMib;
  private long reservedDiskMib;

  /** Removed since the node last said what is free there. */
  private Presence.Free freed = Presence.Free.NOTHING;

  /** Removed in the time before: what the node said last may have been on its way meanwhile. */
  private Presence.Free freedBefore = Presence.Free.NOTHING;

  /** Templates that it has made since it registered; its next word has them too. */
  private final Set<String> made = new HashSet<>();

  private boolean draining;
  private @Nullable NodeView view;
  private @Nullable NodeLink link;

  /** One slot and so much. A suspended sandbox has no memory. */
  private record Held(int memoryMib, int diskMib) {}

  Member(NodeRegistration registration) {
    this.registration = registration;
  }

  NodeRegistration registration() {
    return registration;
  }

  /** The link to a former address is closed. */
  void registration(NodeRegistration newRegistration) {
    if (!newRegistration.address().equals(registration.address())) {
      closeLink();
    }
    registration = newRegistration;
    made.clear();
    view = null;
  }

  void offers(String template) {
    made.add(template);
    view = null;
  }

  void withdraw(String template) {
    if (made.remove(template)) {
      view = null;
    }
  }

  void draining(boolean now) {
    draining = now;
    view = null;
  }

  boolean draining() {
    return draining;
  }

  NodeStatus status() {
    return new NodeStatus(view(), registration.hypervisor(), draining, pressure(), reserved.size());
  }

  private String pressure() {
    return presence instanceof Presence.Connected connected
        ? connected.last().map(Heartbeat::pressure).orElse("")
        : "";
  }

  Presence presence() {
    return presence;
  }

  void presence(Presence newPresence) {
    presence = newPresence;
    freedBefore = freed;
    freed = Presence.Free.NOTHING;
    view = null;
  }

  void reserve(String sandbox, SandboxSize size) {
    put(sandbox, new Held(size.memoryMib(), size.diskMib()));
  }

  /** From now on it holds so much. Nothing for one that has no reservation. */
  void hold(Sandbox sandbox) {
    if (reserved.containsKey(sandbox.id())) {
      put(
          sandbox.id(),
          new Held(
              sandbox.state() instanceof SandboxState.Suspended ? 0 : sandbox.size().memoryMib(),
              sandbox.size().diskMib()));
    }
  }

  void release(String sandbox) {
    Held held = reserved.remove(sandbox);
    if (held != null) {
      give(held, 1);
    }
  }

  private void put(String sandbox, Held now) {
    Held before = reserved.put(sandbox, now);
    if (before != null) {
      give(before, 0);
    }
    reservedMemoryMib += now.memoryMib();
    reservedDiskMib += now.diskMib();
    freed = freed.minus(new Presence.Free(0, before == null ? 0 : now.memoryMib()));
    view = null;
  }

  private void give(Held held, int slots) {
    reservedMemoryMib -= held.memoryMib();
    reservedDiskMib -= held.diskMib();
    freed = freed.plus(new Presence.Free(slots, held.memoryMib()));
    view = null;
  }

  /** Kept until something changes: a view of thousands of nodes is taken for every placement. */
  NodeView view() {
    NodeView current = view;
    if (current == null) {
      current = look();
      view = current;
    }
    return current;
  }

  @Nullable NodeLink link() {
    return link;
  }

  void link(NodeLink newLink) {
    link = newLink;
  }

  void closeLink() {
    if (link != null) {
      link.close();
      link = null;
    }
  }

  /**
   * What is free is what is free by our books and, where it has spoken, also by the node's own. Of
   * the two mistakes that old news allows, the one that costs a refusal by the node is made.
   */
  private NodeView look() {
    long memory = registration.limit().memoryMib() - reservedMemoryMib;
    long slots = (long) registration.slots() - reserved.size();
    Optional<Heartbeat> last =
        presence instanceof Presence.Connected connected ? connected.last() : Optional.empty();
    if (last.isPresent()) {
      Presence.Free said =
          new Presence.Free(last.get().freeSlots(), last.get().freeMemoryMib())
              .plus(freed)
              .plus(freedBefore);
      memory = Math.min(memory, said.memoryMib());
      slots = Math.min(slots, said.slots());
    }
    return new NodeView(
        registration.name(),
        presence instanceof Presence.Connected,
        draining ? "it is drained" : pressure(),
        registration.isolation(),
        templates(
            last.map(Heartbeat::templates)
                .filter(templates -> !templates.isEmpty())
                .orElse(registration.templates())),
        last.map(Heartbeat::pooled).orElse(Map.of()),
        registration.limit(),
        registration.slots(),
        memory,
        registration.limit().diskMib() - reservedDiskMib,
        (int) Math.max(slots, 0));
  }

  private Set<String> templates(Set<String> said) {
    if (made.isEmpty()) {
      return said;
    }
    Set<String> all = new HashSet<>(said);
    all.addAll(made);
    return all;
  }
}
