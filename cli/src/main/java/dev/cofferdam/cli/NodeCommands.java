package dev.cofferdam.cli;

import dev.cofferdam.v1.DrainNodeRequest;
import dev.cofferdam.v1.ListNodesRequest;
import dev.cofferdam.v1.Node;
import dev.cofferdam.v1.NodeServiceGrpc;
import dev.cofferdam.v1.UndrainNodeRequest;
import io.grpc.StatusException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code node ls|drain|undrain}, for the operator. */
@Command(
    name = "node",
    mixinStandardHelpOptions = true,
    description = "The hosts that sandboxes run on (operator).")
final class NodeCommands {
  private NodeCommands() {}

  static CommandLine commandLine(Context context) {
    return new CommandLine(new NodeCommands())
        .addSubcommand(new Ls(context))
        .addSubcommand(new Drain(context))
        .addSubcommand(new Undrain(context));
  }

  private static NodeServiceGrpc.NodeServiceBlockingV2Stub stub(Connections connections) {
    return NodeServiceGrpc.newBlockingV2Stub(connections.operatorApi())
        .withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS);
  }

  @Command(name = "ls", mixinStandardHelpOptions = true, description = "Lists nodes, by name.")
  private static final class Ls implements Callable<Integer> {
    private final Context context;

    Ls(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      Table table =
          new Table(
              "NODE",
              "STATE",
              "ISOLATION",
              "HYPERVISOR",
              "SANDBOXES",
              "FREE SLOTS",
              "FREE MEMORY",
              "FREE DISK",
              "SHORT OF");
      try (Connections connections = context.connections().get()) {
        stub(connections)
            .listNodes(ListNodesRequest.getDefaultInstance())
            .getNodesList()
            .forEach(node -> table.row(row(node)));
      }
      context.out().print(table.text());
      return 0;
    }

    private static List<String> row(Node node) {
      return List.of(
          node.getName(),
          state(node),
          node.getIsolation(),
          node.getHypervisor(),
          Integer.toUnsignedString(node.getSandboxes()),
          Integer.toUnsignedString(node.getFreeSlots())
              + "/"
              + Integer.toUnsignedString(node.getSlots()),
          node.getFreeMemoryMib() + " MiB",
          node.getFreeDiskMib() + " MiB",
          node.getPressure());
    }

    /** Several at a time: {@code away,draining}. */
    private static String state(Node node) {
      List<String> words = new ArrayList<>();
      if (!node.getConnected()) {
        words.add("away");
      }
      if (node.getDraining()) {
        words.add("draining");
      }
      if (!node.getPressure().isEmpty()) {
        words.add("full");
      }
      return words.isEmpty() ? "ready" : String.join(",", words);
    }
  }

  @Command(
      name = "drain",
      mixinStandardHelpOptions = true,
      description =
          "Places nothing new on nodes, also over restarts, and lets their pools go; what is there"
              + " goes on.")
  private static final class Drain implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "NODE", arity = "1..*", description = "Their names.")
    private List<String> nodes = new ArrayList<>();

    Drain(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      context.each(
          nodes,
          (connections, node) ->
              stub(connections).drainNode(DrainNodeRequest.newBuilder().setNode(node).build()));
      return 0;
    }
  }

  @Command(name = "undrain", mixinStandardHelpOptions = true, description = "Takes a drain back.")
  private static final class Undrain implements Callable<Integer> {
    private final Context context;

    @Parameters(paramLabel = "NODE", arity = "1..*", description = "Their names.")
    private List<String> nodes = new ArrayList<>();

    Undrain(Context context) {
      this.context = context;
    }

    @Override
    public Integer call() throws StatusException {
      context.each(
          nodes,
          (connections, node) ->
              stub(connections).undrainNode(UndrainNodeRequest.newBuilder().setNode(node).build()));
      return 0;
    }
  }
}
