package dev.cofferdam.scheduler.cluster;

/** The stream that a node keeps open. */
public interface NodeConnection {
  /** Ends it with a status that tells the node why. Idempotent; must not block. */
  void close(String why);

  /** Tells the node whether it is drained, as {@link Cluster#isDraining} says; must not block. */
  void tellDraining();
}
