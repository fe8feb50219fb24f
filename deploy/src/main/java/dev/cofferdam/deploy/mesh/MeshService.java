package dev.cofferdam.deploy.mesh;

/** The Java services of a mesh, in the order in which they stop. */
public enum MeshService {
  EDGE("edge-gateway", "edge", "dev.cofferdam.edge.Main", 256),
  SCHEDULER("scheduler-svc", "scheduler", "dev.cofferdam.scheduler.Main", 160),
  NODE("node-agent", "node", "dev.cofferdam.node.Main", 128),
  GATEWAY("egress-gateway", "gateway", "dev.cofferdam.gateway.Main", 256),
  BROKER("vault-broker", "broker", "dev.cofferdam.broker.Main", 192);

  private final String process;
  private final String directory;
  private final String mainClass;
  private final int heapMib;

  MeshService(String process, String directory, String mainClass, int heapMib) {
    this.process = process;
    this.directory = directory;
    this.mainClass = mainClass;
    this.heapMib = heapMib;
  }

  /** As in peers' URIs, pid files and logs. */
  public String process() {
    return process;
  }

  /** Below the state directory. */
  public String directory() {
    return directory;
  }

  public String user() {
    return "cofferdam-" + directory;
  }

  public String mainClass() {
    return mainClass;
  }

  public int heapMib() {
    return heapMib;
  }

  /** Of PostgreSQL; only the scheduler and the broker have one. */
  public String role() {
    return "cofferdam_" + directory;
  }
}
