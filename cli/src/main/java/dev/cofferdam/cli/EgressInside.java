package dev.cofferdam.cli;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.List;

/**
 * What {@code egress run} starts in the command's network namespace: leads a port of its loopback
 * to a socket in the file system, and runs the command. {@code SOCKET PORT TERMINAL
 * JAVA_TOOL_OPTIONS CMD...}.
 */
public final class EgressInside {
  private static final int NOT_FOUND = 127;

  private EgressInside() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    Path socket = Path.of(args[0]);
    ServerSocketChannel server =
        ServerSocketChannel.open()
            .bind(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[1])));
    Thread.ofPlatform().daemon().name("relay").start(() -> relay(server, socket));
    List<String> command = List.of(args).subList(4, args.length);
    System.exit(run(Boolean.parseBoolean(args[2]), args[3], command));
  }

  private static int run(boolean terminal, String javaOptions, List<String> command)
      throws InterruptedException {
    Signals signals = Signals.of(new SystemTerminal(), terminal);
    try {
      ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
      // Not in the environment of this process itself, which is Java as well and would say so.
      builder
          .environment()
          .merge("JAVA_TOOL_OPTIONS", javaOptions, (own, ours) -> ours + " " + own);
      Process process = builder.start();
      signals.passTo(process);
      return process.waitFor();
    } catch (IOException e) {
      System.err.println("cofferdam: " + e.getMessage());
      return NOT_FOUND;
    }
  }

  private static void relay(ServerSocketChannel server, Path socket) {
    try {
      while (true) {
        SocketChannel accepted = server.accept();
        Thread.ofVirtual().start(() -> lead(accepted, socket));
      }
    } catch (IOException e) {
      System.err.println("cofferdam: no way out any more: " + e.getMessage());
    }
  }

  private static void lead(SocketChannel accepted, Path socket) {
    try {
      SocketChannel outside = SocketChannel.open(StandardProtocolFamily.UNIX);
      outside.connect(UnixDomainSocketAddress.of(socket));
      SocketPairs.join(accepted, outside);
    } catch (IOException e) {
      try {
        accepted.close();
      } catch (IOException closing) {
        e.addSuppressed(closing);
      }
    }
  }
}
