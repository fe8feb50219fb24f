package dev.cofferdam.node.fake;

import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.ProcessTable;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;

/** Slots and VMMs of a host. Outlives every node agent. */
public final class Kernel implements ProcessTable {
  /** One VMM. */
  public record Vmm(ProcessId process, String sandbox, Runnable onDeath) {}

  /** What is in the memory of a VMM's guest. */
  public static final class Memory {
    public String token = "";
    public boolean frozen;

    /** What a process of the tenant has counted up to. */
    public int counter;

    /** Further disks of the machine; not part of a snapshot. */
    public List<String> volumes = List.of();

    /** Whether the machine runs; not part of a snapshot. */
    public boolean running;
  }

  private final Set<Integer> slots = new TreeSet<>();
  private final Map<Integer, Memory> memories = new TreeMap<>();
  private final Map<Integer, Vmm> vmms = new TreeMap<>();
  private final Map<String, String> attachments = new TreeMap<>();
  private long nextPid = 1000;

  public synchronized void createSlot(int slot) {
    slots.add(slot);
  }

  public void destroySlot(int slot) {
    kill(slot);
    synchronized (this) {
      slots.remove(slot);
    }
  }

  public synchronized Set<Integer> slots() {
    return new TreeSet<>(slots);
  }

  public synchronized ProcessId start(int slot, String sandbox, Runnable onDeath) {
    if (!slots.contains(slot) || vmms.containsKey(slot)) {
      throw new IllegalStateException("slot " + slot + " is not there or taken: " + vmms);
    }
    ProcessId process = new ProcessId(nextPid++, 77);
    vmms.put(slot, new Vmm(process, sandbox, onDeath));
    memories.put(slot, new Memory());
    return process;
  }

  /** A VMM whose directory was renamed. */
  public synchronized void rename(int slot, String sandbox) {
    vmms.computeIfPresent(slot, (s, vmm) -> new Vmm(vmm.process(), sandbox, vmm.onDeath()));
  }

  /** Of the VMM in a slot. */
  public synchronized Optional<Memory> memory(int slot) {
    return vmms.containsKey(slot) ? Optional.ofNullable(memories.get(slot)) : Optional.empty();
  }

  /** Of a sandbox that has a VMM. */
  public synchronized Memory memory(String sandbox) {
    return vmms.entrySet().stream()
        .filter(entry -> entry.getValue().sandbox().equals(sandbox))
        .map(entry -> memories.get(entry.getKey()))
        .findFirst()
        .orElseThrow();
  }

  /** The host itself was away. */
  public synchronized void reboot() {
    vmms.clear();
    slots.clear();
  }

  public void kill(int slot) {
    kill(slot, _ -> true);
  }

  /** That one alone. */
  public void kill(int slot, ProcessId process) {
    kill(slot, vmm -> vmm.process().equals(process));
  }

  private void kill(int slot, Predicate<Vmm> which) {
    Vmm vmm;
    synchronized (this) {
      vmm = vmms.get(slot);
      if (vmm == null || !which.test(vmm)) {
        return;
      }
      vmms.remove(slot);
    }
    vmm.onDeath().run();
  }

  /** Whoever listens for deaths is dead itself. */
  public synchronized void forgetListeners() {
    vmms.replaceAll((slot, vmm) -> new Vmm(vmm.process(), vmm.sandbox(), () -> {}));
  }

  /** A new listener for a VMM's death. */
  public synchronized void listen(int slot, Runnable onDeath) {
    vmms.computeIfPresent(slot, (s, vmm) -> new Vmm(vmm.process(), vmm.sandbox(), onDeath));
  }

  public synchronized List<String> running() {
    List<String> names = new ArrayList<>();
    vmms.values().forEach(vmm -> names.add(vmm.sandbox()));
    return names;
  }

  public synchronized void attach(String sandbox, String address) {
    attachments.put(address, sandbox);
  }

  public synchronized void detach(String sandbox, String address) {
    attachments.remove(address, sandbox);
  }

  /** Sandboxes by slot address, as the gateway has them. */
  public synchronized Map<String, String> attachments() {
    return new TreeMap<>(attachments);
  }

  @Override
  public synchronized boolean alive(ProcessId process) {
    return vmms.values().stream().anyMatch(vmm -> vmm.process().equals(process));
  }
}
