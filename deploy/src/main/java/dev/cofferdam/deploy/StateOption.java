package dev.cofferdam.deploy;

import dev.cofferdam.deploy.mesh.MeshLayout;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which mesh is meant. */
final class StateOption {
  @Option(
      names = "--state",
      paramLabel = "DIR",
      description = "The mesh's directory. Default: $$COFFERDAM_STATE, else /var/lib/cofferdam.")
  private @Nullable Path state;

  MeshLayout layout() {
    if (state != null) {
      return new MeshLayout(state.toAbsolutePath().normalize());
    }
    String environment = System.getenv("COFFERDAM_STATE");
    return new MeshLayout(environment == null ? MeshLayout.STANDARD : Path.of(environment));
  }
}
