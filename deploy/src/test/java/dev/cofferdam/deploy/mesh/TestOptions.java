package dev.cofferdam.deploy.mesh;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** A mesh in {@code /s} with its cache in {@code /c}. */
final class TestOptions {
  private TestOptions() {}

  static MeshOptions standard() {
    return with(Optional.empty(), Optional.empty(), Map.of());
  }

  static MeshOptions with(
      Optional<Path> upstreamCa, Optional<Path> hosts, Map<String, String> overrides) {
    return options("cfd", MeshPorts.STANDARD, upstreamCa, hosts, overrides);
  }

  static MeshOptions named(String mesh, int portBase) {
    return options(mesh, new MeshPorts(portBase), Optional.empty(), Optional.empty(), Map.of());
  }

  private static MeshOptions options(
      String mesh,
      MeshPorts ports,
      Optional<Path> upstreamCa,
      Optional<Path> hosts,
      Map<String, String> overrides) {
    return new MeshOptions(
        new MeshLayout(Path.of("/s")),
        mesh,
        ports,
        Path.of("/c"),
        Path.of("/c/lib/1"),
        Path.of("/c/bin/node-helper"),
        Path.of("/c/images/0123456789abcdef"),
        Path.of("/jdk"),
        upstreamCa,
        hosts,
        overrides);
  }
}
