package dev.cofferdam.node.registry;

import dev.cofferdam.internal.v1.NodeHeartbeat;
import dev.cofferdam.internal.v1.RunningSandbox;
import java.util.List;

/** What the connection tells, as it is now, and what it is told. */
public interface NodeView {
  List<RunningSandbox> running();

  List<String> templates();

  NodeHeartbeat heartbeat();

  /** The scheduler wants it gone. May block. */
  void remove(String sandbox);

  /** Whether an operator drains this node. Must not block. */
  void draining(boolean now);
}
