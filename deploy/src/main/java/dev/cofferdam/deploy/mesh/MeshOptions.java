package dev.cofferdam.deploy.mesh;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * What one mesh is started with.
 *
 * @param mesh prefix of its network namespaces, at most 8 characters
 * @param cache built things, shared by every mesh of the machine
 * @param lib a directory per service with its jars
 * @param helper the node-helper's binary
 * @param image the guest image's directory
 * @param upstreamCa PEM bundle that the gateway trusts beside the system's
 * @param hosts hosts(5) file of the gateway
 * @param overrides {@code <directory>.<key>} to value, on top of what the launcher writes
 */
public record MeshOptions(
    MeshLayout layout,
    String mesh,
    MeshPorts ports,
    Path cache,
    Path lib,
    Path helper,
    Path image,
    Path java,
    Optional<Path> upstreamCa,
    Optional<Path> hosts,
    Map<String, String> overrides) {
  /** The helper's limit, and so the distance between the uids of two meshes. */
  public static final int SLOTS = 250;

  /**
   * From here to 99,999 uids are nobody's: below lie those that systemd gives to services with
   * DynamicUser, 61,184 to 65,519 (its UIDS-GIDS.md), above those that /etc/subuid hands out.
   */
  private static final int FIRST_UID = 70_000;

  private static final int OTHER_RANGES = 101;

  public MeshOptions {
    if (!mesh.matches("[a-z][a-z0-9]{0,7}")) {
      throw new IllegalArgumentException(
          "mesh '%s', expected a lower-case name of at most 8 characters".formatted(mesh));
    }
    overrides = Map.copyOf(overrides);
  }

  /**
   * The first of the uids that this mesh's VMs run under. Meshes differ by name or by ports; the
   * standard one has the documented range, any other one of {@value #OTHER_RANGES} further ranges.
   */
  public int vmmUidBase() {
    if (mesh.equals("cfd") && ports.equals(MeshPorts.STANDARD)) {
      return FIRST_UID;
    }
    int range = Math.floorMod(31 * mesh.hashCode() + ports.base() / 100, OTHER_RANGES);
    return FIRST_UID + SLOTS * (1 + range);
  }
}
