package dev.cofferdam.deploy.mesh;

/**
 * The ports of one mesh, all on loopback addresses, at fixed distances from {@code base}.
 *
 * @param base 1024 to 65400
 */
public record MeshPorts(int base) {
  public static final MeshPorts STANDARD = new MeshPorts(7400);

  static final String BROKER_ADDRESS = "127.0.0.2";

  public MeshPorts {
    if (base < 1024 || base > 65400) {
      throw new IllegalArgumentException("port base %d, expected 1024 to 65400".formatted(base));
    }
  }

  public int schedulerApi() {
    return base;
  }

  public int schedulerAdmin() {
    return base + 1;
  }

  public int brokerMesh() {
    return base + 10;
  }

  public int brokerTenants() {
    return base + 11;
  }

  public int brokerAdmin() {
    return base + 12;
  }

  public int nodeMesh() {
    return base + 20;
  }

  public int nodeAdmin() {
    return base + 21;
  }

  public int gatewayControl() {
    return base + 30;
  }

  public int gatewayAdmin() {
    return base + 31;
  }

  public int postgres() {
    return base + 50;
  }

  public int edge() {
    return base + 80;
  }

  public int edgeAdmin() {
    return base + 81;
  }

  /** Of the URLs of sandboxes' ports. */
  public int edgePorts() {
    return base + 82;
  }

  /** Of SSH into sandboxes. */
  public int edgeSsh() {
    return base + 83;
  }

  /** No port of the mesh is beyond it. */
  public int last() {
    return base + 83;
  }

  /** Where tenants reach the scheduler. */
  public String schedulerAddress() {
    return local(schedulerApi());
  }

  /**
   * Where tenants reach the broker: an address that no other service's certificate holds for.
   * Tenants know a service by its host name alone, and whoever listened at the broker's port while
   * it is down would be sent values.
   */
  public String brokerTenantsAddress() {
    return BROKER_ADDRESS + ":" + brokerTenants();
  }

  /** As the client's settings want it. */
  static String local(int port) {
    return "127.0.0.1:" + port;
  }
}
