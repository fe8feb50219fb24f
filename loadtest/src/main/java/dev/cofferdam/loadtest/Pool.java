package dev.cofferdam.loadtest;

/** What of a pool a create is to find. */
enum Pool {
  /** A machine restored and paused. */
  RESTORED("restored"),
  /** A VMM process that holds no guest, and nothing restored. */
  VMM("waiting"),
  /** Nothing, not even a slot. */
  NONE("");

  private final String stage;

  Pool(String stage) {
    this.stage = stage;
  }

  /** As the node's metric {@code cofferdam_node_pool_depth} calls it; empty for none. */
  String stage() {
    return stage;
  }
}
