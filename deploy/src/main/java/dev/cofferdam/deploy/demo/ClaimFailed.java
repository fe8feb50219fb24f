package dev.cofferdam.deploy.demo;

/** A claim that does not hold, with what was seen instead. */
final class ClaimFailed extends Exception {
  ClaimFailed(String seen) {
    super(seen);
  }

  /** Throws unless {@code holds}. */
  static void unless(boolean holds, String seen) throws ClaimFailed {
    if (!holds) {
      throw new ClaimFailed(seen);
    }
  }
}
