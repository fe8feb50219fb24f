package dev.cofferdam.node.fake;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Every act of one node agent upon the world, in order. It can be killed at any of them, and an act
 * can be made to fail.
 */
public final class Acts {
  private final List<String> done = new ArrayList<>();
  private int left = Integer.MAX_VALUE;
  private Optional<String> failing = Optional.empty();
  private Supplier<RuntimeException> failure = () -> new IllegalStateException("not set");

  /** After that many acts the next one kills. */
  public synchronized void killAfter(int acts) {
    left = acts;
  }

  /** Every act of that name fails from now on. */
  public synchronized void fail(String act, Supplier<RuntimeException> with) {
    failing = Optional.of(act);
    failure = with;
  }

  /** As {@link #fail}, with what nobody is prepared for. */
  public synchronized void crash(String act) {
    fail(
        act,
        () -> {
          throw new StackOverflowError(act);
        });
  }

  public synchronized void heal() {
    failing = Optional.empty();
  }

  /** To be called before the act has its effect. */
  public synchronized void act(String name) {
    if (left <= 0) {
      throw new Killed(name);
    }
    left--;
    done.add(name);
    mayFail(name);
  }

  /** For one case of an act: no act of its own, but one that can be made to fail. */
  public synchronized void mayFail(String name) {
    if (failing.isPresent() && failing.get().equals(name)) {
      throw failure.get();
    }
  }

  public synchronized List<String> done() {
    return List.copyOf(done);
  }
}
