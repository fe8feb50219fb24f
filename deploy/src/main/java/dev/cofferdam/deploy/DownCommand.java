package dev.cofferdam.deploy;

import dev.cofferdam.deploy.account.Commands;
import dev.cofferdam.deploy.mesh.MeshFacts;
import dev.cofferdam.deploy.mesh.MeshLayout;
import dev.cofferdam.deploy.mesh.Strays;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "down",
    mixinStandardHelpOptions = true,
    description = "Stops the mesh and its sandboxes. Secrets, tokens and records stay.")
final class DownCommand implements Callable<Integer> {
  /** The mesh's own graces, one after the other. */
  private static final Duration GRACE = Duration.ofSeconds(60);

  @Mixin private StateOption state = new StateOption();

  @Override
  public Integer call() throws IOException {
    MeshLayout layout = state.layout();
    MeshFacts facts = MeshFacts.read(layout.facts());
    Optional<ProcessHandle> launcher =
        Strays.process(layout.pidFile("launcher"), Main.class.getName());
    if (launcher.isPresent()) {
      Strays.end(launcher.get(), "TERM", GRACE);
    }
    // Whatever a launcher left behind that did not end well.
    Strays.stop(layout);
    if (Files.exists(layout.helperConfig()) && Files.isExecutable(facts.helper())) {
      Commands.run(
          List.of(
              facts.helper().toString(), "teardown", "--config", layout.helperConfig().toString()));
    }
    Files.deleteIfExists(layout.pidFile("launcher"));
    return 0;
  }
}
