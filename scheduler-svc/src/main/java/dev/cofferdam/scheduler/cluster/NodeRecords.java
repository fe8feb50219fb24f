package dev.cofferdam.scheduler.cluster;

import java.time.Instant;
import java.util.List;
import java.util.Set;

/** Where registrations outlive the process. */
public interface NodeRecords {
  List<NodeRegistration> all();

  /** Names of those on which nothing is to be placed. */
  Set<String> draining();

  void drain(String node, boolean draining);

  /** It registers; one that was lost is on its way back from now on. */
  void put(NodeRegistration node, Instant now);

  /** Its stream ended. */
  void left(String node, Instant now);
}
