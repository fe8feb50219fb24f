package dev.cofferdam.node.pool;

/** How much of the host is left. Safe for use by several threads. */
public interface HostLoad {
  /** MiB of memory that could be given away without taking it from anybody. */
  long availableMib();

  /** What part of the processors did nothing lately, 0 to 1. */
  double idle();
}
