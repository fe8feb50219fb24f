package dev.cofferdam.deploy.mesh;

import java.nio.file.Path;

/** Where the files of one mesh lie. Nothing else builds a path below the state directory. */
public record MeshLayout(Path state) {
  public static final Path STANDARD = Path.of("/var/lib/cofferdam");

  public MeshLayout {
    if (!state.isAbsolute()) {
      throw new IllegalArgumentException(
          "state directory '%s', expected an absolute path".formatted(state));
    }
  }

  public Path authority() {
    return state.resolve("ca");
  }

  public Path authorityCertificate() {
    return authority().resolve("ca.pem");
  }

  public Path operator() {
    return state.resolve("operator");
  }

  public Path tokens() {
    return state.resolve("tokens");
  }

  public Path passwords() {
    return state.resolve("passwords");
  }

  public Path logs() {
    return state.resolve("log");
  }

  public Path log(String process) {
    return logs().resolve(process + ".log");
  }

  public Path run() {
    return state.resolve("run");
  }

  public Path pidFile(String process) {
    return run().resolve(process + ".pid");
  }

  public Path helperSocket() {
    return run().resolve("helper.sock");
  }

  public Path helperConfig() {
    return state.resolve("node-helper.json");
  }

  /** What the mesh was started with, for {@code env} and {@code down}. */
  public Path facts() {
    return state.resolve("mesh.properties");
  }

  public Path home(MeshService service) {
    return state.resolve(service.directory());
  }

  public Path settings(MeshService service) {
    return home(service).resolve("service.properties");
  }

  /** The service's own, the only place it can write to. */
  public Path data(MeshService service) {
    return home(service).resolve("data");
  }

  /**
   * Beside its data, not in it: root makes it, and must not follow a link that the service made.
   */
  public Path temporary(MeshService service) {
    return home(service).resolve("tmp");
  }

  /** A copy of the operator's bundle that the service's user can read. */
  public Path upstreamCa(MeshService service) {
    return home(service).resolve("upstream-ca.pem");
  }

  public Path hosts(MeshService service) {
    return home(service).resolve("hosts");
  }

  public Path sandboxes() {
    return home(MeshService.NODE).resolve("sandboxes");
  }

  public Path volumes() {
    return home(MeshService.NODE).resolve("volumes");
  }

  /** Of tenants' templates: the node agent makes them. */
  public Path madeImages() {
    return home(MeshService.NODE).resolve("images");
  }

  /** What tenants may make templates of: the operator puts it there. */
  public Path imageFiles() {
    return home(MeshService.NODE).resolve("image-files");
  }

  /** That tenants may choose: the operator puts them there. */
  public Path kernels() {
    return home(MeshService.NODE).resolve("kernels");
  }

  public Path postgres() {
    return state.resolve("postgres");
  }
}
