package dev.cofferdam.node.fake;

import dev.cofferdam.node.pool.HostLoad;

/** A host with as much left as the test says. */
public final class FakeLoad implements HostLoad {
  public volatile long availableMib = 1 << 20;
  public volatile double idle = 1;

  @Override
  public long availableMib() {
    return availableMib;
  }

  @Override
  public double idle() {
    return idle;
  }
}
