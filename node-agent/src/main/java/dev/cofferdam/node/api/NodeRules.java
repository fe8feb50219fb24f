package dev.cofferdam.node.api;

import dev.cofferdam.internal.v1.NodeServiceGrpc;
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.ProcessServiceGrpc;
import io.grpc.ServiceDescriptor;
import java.util.List;

/** Who may call a node: the scheduler, and nobody else. */
public final class NodeRules {
  private static final String SCHEDULER = "scheduler-svc";

  private NodeRules() {}

  public static CallRules rules() {
    CallRules.Builder rules = CallRules.builder();
    for (ServiceDescriptor service :
        List.of(
            NodeServiceGrpc.getServiceDescriptor(),
            ProcessServiceGrpc.getServiceDescriptor(),
            FileServiceGrpc.getServiceDescriptor(),
            PortServiceGrpc.getServiceDescriptor())) {
      service.getMethods().forEach(method -> rules.peers(method, SCHEDULER));
    }
    return rules.build();
  }
}
