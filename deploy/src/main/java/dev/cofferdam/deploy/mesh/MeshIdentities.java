package dev.cofferdam.deploy.mesh;

import dev.cofferdam.deploy.account.OwnedFiles;
import dev.cofferdam.deploy.authority.MeshAuthority;
import dev.cofferdam.deploy.authority.Pem;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Certificates of a mesh's services and of its operator, and where they lie. */
final class MeshIdentities {
  static final Duration LIFETIME = Duration.ofHours(24);

  /** Well before they end: two renewals may fail without harm. */
  static final Duration RENEWAL = Duration.ofHours(7);

  /** One of each service: the one machine. */
  static final String INSTANCE = "local";

  private final MeshLayout layout;
  private final MeshAuthority authority;

  MeshIdentities(MeshLayout layout, MeshAuthority authority) {
    this.layout = layout;
    this.authority = authority;
  }

  /** Issues all anew; services notice changed files by themselves. */
  void issueAll(Map<MeshService, Integer> groups) throws IOException {
    for (Map.Entry<MeshService, Integer> entry : groups.entrySet()) {
      MeshService service = entry.getKey();
      if (service == MeshService.EDGE) {
        // It has no rights of its own, and so needs nobody to know it.
        continue;
      }
      MeshAuthority.Identity identity =
          authority.server(service.process(), INSTANCE, names(service), LIFETIME);
      int gid = entry.getValue();
      OwnedFiles.write(key(layout, service), Pem.of(identity.key()), "rw-r-----", gid);
      OwnedFiles.write(
          certificate(layout, service), Pem.of(identity.certificate()), "rw-r-----", gid);
    }
    OwnedFiles.directory(layout.operator(), "rwx------");
    MeshAuthority.Identity operator = authority.client("operator", INSTANCE, LIFETIME);
    OwnedFiles.write(
        layout.operator().resolve("operator.key"), Pem.of(operator.key()), "rw-------");
    OwnedFiles.write(
        layout.operator().resolve("operator.pem"), Pem.of(operator.certificate()), "rw-------");
  }

  /** What tenants may know a service by; its peers in the mesh know it by its URI. */
  private static List<String> names(MeshService service) {
    return switch (service) {
      case SCHEDULER -> List.of("localhost", "127.0.0.1");
      case BROKER -> List.of(MeshPorts.BROKER_ADDRESS);
      case NODE, GATEWAY, EDGE -> List.of();
    };
  }

  static Path certificate(MeshLayout layout, MeshService service) {
    return layout.home(service).resolve("tls.pem");
  }

  static Path key(MeshLayout layout, MeshService service) {
    return layout.home(service).resolve("tls.key");
  }
}
