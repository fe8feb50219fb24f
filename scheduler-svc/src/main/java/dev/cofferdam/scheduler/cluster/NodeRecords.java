package dev.cofferdam.scheduler.cluster;

import java.time.Instant;
import java.util.List;

/** Where registrations outlive the process. */
public interface NodeRecords {
  List<NodeRegistration> all();

  void put(NodeRegistration node, Instant now);
}
