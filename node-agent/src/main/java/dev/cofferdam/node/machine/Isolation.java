package dev.cofferdam.node.machine;

/** What stands between the guest and the host. */
public enum Isolation {
  /** The processor's virtualisation. */
  HARDWARE("hardware"),
  /** A program that plays the processor: a weaker boundary, and told to the tenant as such. */
  EMULATED("emulated");

  private final String label;

  Isolation(String label) {
    this.label = label;
  }

  /** As the API spells it. */
  public String label() {
    return label;
  }
}
