package dev.cofferdam.deploy;

import dev.cofferdam.deploy.mesh.ClientEnvironment;
import dev.cofferdam.deploy.mesh.MeshFacts;
import dev.cofferdam.deploy.mesh.MeshLayout;
import dev.cofferdam.deploy.mesh.Strays;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

@Command(
    name = "env",
    mixinStandardHelpOptions = true,
    description = "Prints shell exports for clients of the running mesh: eval \"$(cofferdam env)\"")
final class EnvCommand implements Callable<Integer> {
  @Mixin private StateOption state = new StateOption();

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    MeshLayout layout = state.layout();
    MeshFacts facts = MeshFacts.read(layout.facts());
    // Tokens outlive the mesh; a client that is told where nothing listens would wait for it.
    if (!Strays.any(layout)) {
      throw new IOException(
          "the mesh in %s is stopped: ./cofferdam up starts it".formatted(layout.state()));
    }
    spec.commandLine()
        .getOut()
        .print(ClientEnvironment.exports(ClientEnvironment.of(layout, facts.ports())));
    spec.commandLine().getOut().flush();
    return 0;
  }
}
