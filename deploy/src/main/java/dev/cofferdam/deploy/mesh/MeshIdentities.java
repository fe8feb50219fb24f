package dev.cofferdam.deploy.mesh;

import dev.cofferdam.deploy.account.OwnedFiles;
import dev.cofferdam.deploy.authority.MeshAuthority;
import dev.cofferdam.deploy.authority.Pem;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
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
      MeshAuthority.Identity identity =
          authority.issue(service.process(), INSTANCE, true, LIFETIME);
      int gid = entry.getValue();
      OwnedFiles.write(key(layout, service), Pem.of(identity.key()), "rw-r-----", gid);
      OwnedFiles.write(
          certificate(layout, service), Pem.of(identity.certificate()), "rw-r-----", gid);
    }
    OwnedFiles.directory(layout.operator(), "rwx------");
    MeshAuthority.Identity operator = authority.issue("operator", INSTANCE, false, LIFETIME);
    OwnedFiles.write(
        layout.operator().resolve("operator.key"), Pem.of(operator.key()), "rw-------");
    OwnedFiles.write(
        layout.operator().resolve("operator.pem"), Pem.of(operator.certificate()), "rw-------");
  }

  static Path certificate(MeshLayout layout, MeshService service) {
    return layout.home(service).resolve("tls.pem");
  }

  static Path key(MeshLayout layout, MeshService service) {
    return layout.home(service).resolve("tls.key");
  }
}
