package dev.cofferdam.node.fake;

/**
 * The node agent was killed: nothing that it does from now on happens. No code under test catches
 * it.
 */
public final class Killed extends Error {
  private static final long serialVersionUID = 1L;

  public Killed(String act) {
    super("killed at " + act);
  }
}
