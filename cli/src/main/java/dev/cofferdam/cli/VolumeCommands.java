package dev.cofferdam.cli;

import dev.cofferdam.v1.CreateVolumeRequest;
import dev.cofferdam.v1.DeleteVolumeRequest;
import dev.cofferdam.v1.ListVolumesRequest;
import dev.cofferdam.v1.ListVolumesResponse;
import dev.cofferdam.v1.Volume;
import dev.cofferdam.v1.VolumeServiceGrpc;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code volume create|ls|rm}. */
@Command(
    name = "volume",
    mixinStandardHelpOptions = true,
    description = "Disks that outlive sandboxes.")
final class VolumeCommands {
  private VolumeCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new VolumeCommands())
        .addSubcommand(new Create(context))
        .addSubcommand(new Ls(context))
        .addSubcommand(new Rm(context));
  }

  private static VolumeServiceGrpc.VolumeServiceBlockingV2Stub stub(Connections connections) {
    return VolumeServiceGrpc.newBlockingV2Stub(connections.api())
        .withDeadlineAfter(SandboxCommands.PATIENT_S, TimeUnit.SECONDS);
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description =
          "Makes a volume and prints its name. One that the same command made before is left as it"
              + " is.")
  private static final class Create implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "NAME", description = "[a-z][a-z0-9-]{0,62}")
    private String name = "";

    @Option(
        names = "--size",
        paramLabel = "MIB",
        description = "64 to 1048576. Default: as the source, or 1024.")
    private int size;

    @Option(
        names = "--from",
        paramLabel = "VOLUME",
        description = "Begin as a copy of this one as it is now.")
    private String source = "";

    @Option(
        names = "--template",
        paramLabel = "NAME",
        description =
            "For sandboxes of this template to boot from. Default: as the source, or none.")
    private String template = "";

    Create(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException, InterruptedException {
      CreateVolumeRequest request =
          CreateVolumeRequest.newBuilder()
              .setName(name)
              .setSizeMib(size)
              .setSource(source)
              .setTemplate(template)
              .build();
      try (Connections connections = context.connections().get()) {
        // An answer that was lost is asked for again: the same request gives the same volume.
        context
            .out()
            .println(
                Patience.little().call(() -> stub(connections).createVolume(request)).getName());
        return 0;
      }
    }
  }

  @Command(name = "ls", mixinStandardHelpOptions = true, description = "Lists volumes, by name.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    Ls(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      try (Connections connections = context.connections().get()) {
        Table table =
            new Table("VOLUME", "MIB", "SANDBOX", "SOURCE", "TEMPLATE", "NODE", "CREATED");
        String page = "";
        do {
          ListVolumesResponse answer =
              stub(connections)
                  .listVolumes(ListVolumesRequest.newBuilder().setPageToken(page).build());
          answer.getVolumesList().forEach(volume -> table.row(row(volume)));
          page = answer.getNextPageToken();
        } while (!page.isEmpty());
        context.out().print(table.text());
        return 0;
      }
    }

    private static List<String> row(Volume volume) {
      return List.of(
          volume.getName(),
          Integer.toString(volume.getSizeMib()),
          volume.getSandbox(),
          volume.getSource(),
          volume.getTemplate(),
          volume.getNode(),
          SandboxCommands.time(volume.getCreateTime()));
    }
  }

  @Command(
      name = "rm",
      mixinStandardHelpOptions = true,
      description = "Removes volumes and what is in them. Not one that a sandbox has.")
  private static final class Rm implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "VOLUME", arity = "1..*", description = "Their names.")
    private List<String> volumes = new ArrayList<>();

    Rm(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      context.each(
          volumes,
          (connections, volume) ->
              stub(connections)
                  .deleteVolume(DeleteVolumeRequest.newBuilder().setName(volume).build()));
      return 0;
    }
  }
}
