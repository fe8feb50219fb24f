package dev.cofferdam.node.cloudhypervisor;

/** How the memory of a restored machine comes from its file, as the API spells it. */
enum RestoreMode {
  /** Mapped privately: machines of one snapshot share what none of them has written to. */
  COPY_ON_WRITE("CopyOnWrite"),
  /** Page by page at the first access (userfaultfd), the rest in the background. */
  ON_DEMAND("OnDemand"),
  /** Read whole before the restore ends. */
  COPY("Copy");

  private final String label;

  RestoreMode(String label) {
    this.label = label;
  }

  String label() {
    return label;
  }
}
