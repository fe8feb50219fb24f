package dev.cofferdam.node.machine;

/** Which processes live. */
public interface ProcessTable {
  /** Whether this very process still runs; a zombie does not. */
  boolean alive(ProcessId process);
}
