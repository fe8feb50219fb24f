package dev.cofferdam.scheduler.cluster;

/**
 * Whether the secrets of a node's sandboxes are in use. The two in the middle are begun and not yet
 * told to the broker.
 *
 * <pre>
 *   PRESENT --(silent too long)--> LOSING --(broker told)--> LOST
 *      ^                              |                        |
 *      |                              +---(registers)----------+
 *      |                              v
 *      +-----(broker told)------- RETURNING
 * </pre>
 */
public enum Standing {
  PRESENT,
  LOSING,
  LOST,
  RETURNING
}
