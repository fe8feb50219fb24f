package dev.cofferdam.deploy;

import dev.cofferdam.cli.ClientSettings;
import dev.cofferdam.deploy.demo.Demo;
import dev.cofferdam.deploy.demo.DemoWorld;
import dev.cofferdam.deploy.mesh.ClientEnvironment;
import dev.cofferdam.deploy.mesh.MeshFacts;
import dev.cofferdam.deploy.mesh.MeshLayout;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The part of {@code ./cofferdam demo} that runs inside the stage, beside a running mesh. */
@Command(name = "claims", hidden = true, description = "Shows the nine claims on a running mesh.")
final class DemoCommand implements Callable<Integer> {
  @Mixin private StateOption state = new StateOption();

  @Option(names = "--stage", required = true, description = "The stage's name.")
  private String stage = "";

  @Option(names = "--stage-script", required = true, description = "deploy/stage/stage")
  private Path stageScript = Path.of("stage");

  @Option(names = "--upstream", required = true, description = "The upstream's directory.")
  private Path upstream = Path.of(".");

  @Override
  public Integer call() throws IOException {
    MeshLayout layout = state.layout();
    MeshFacts facts = MeshFacts.read(layout.facts());
    ClientSettings settings = ClientSettings.read(ClientEnvironment.of(layout, facts.ports()));
    DemoWorld world = new DemoWorld(layout, stageScript, stage, upstream);
    return new Demo(settings, world, System.out, InstantSource.system(), new SecureRandom()).run()
        ? 0
        : 1;
  }
}
