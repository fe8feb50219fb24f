package dev.cofferdam.cli;

import dev.cofferdam.v1.PortServiceGrpc;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "forward",
    mixinStandardHelpOptions = true,
    description = {
      "Leads connections to a port of this machine's 127.0.0.1 to a port of a sandbox.",
      "Prints a line once it listens, and goes on until Ctrl-C."
    })
final class ForwardCommand implements Callable<Integer> {
  /** Half of the streams that a sandbox takes: its commands need some too. */
  private static final int CONNECTIONS = 256;

  private static final Pattern PORTS = Pattern.compile("(?:(\\d{1,5}):)?(\\d{1,5})");

  private final Context context;

  @Parameters(index = "0", paramLabel = "SANDBOX", description = "Its id.")
  private String sandbox = "";

  @Parameters(
      index = "1",
      paramLabel = "[LOCAL:]PORT",
      description =
          "The sandbox's port, and this machine's: the same by default, 0 for a free one.")
  private String ports = "";

  ForwardCommand(Context context) {
    this.context = context;
  }

  @Override
  public Integer call() throws IOException {
    Matcher given = PORTS.matcher(ports);
    if (!given.matches()) {
      throw new ClientException("'" + ports + "' is not [LOCAL:]PORT");
    }
    int remote = port(given.group(2), 1);
    int local = given.group(1) == null ? remote : port(given.group(1), 0);
    try (Connections connections = context.connections().get();
        ServerSocketChannel listener = listen(local);
        ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      PortServiceGrpc.PortServiceBlockingV2Stub stub =
          PortServiceGrpc.newBlockingV2Stub(connections.api());
      int bound = ((InetSocketAddress) listener.getLocalAddress()).getPort();
      context.out().printf("127.0.0.1:%d leads to port %d of %s%n", bound, remote, sandbox);
      context.out().flush();
      Semaphore free = new Semaphore(CONNECTIONS);
      try {
        while (true) {
          // One more waits in the listener's queue.
          free.acquire();
          SocketChannel accepted = listener.accept();
          executor.execute(() -> {
            try {
              new PortConnection(stub, sandbox, remote, accepted, executor)
                  .run()
                  .ifPresent(failure -> context.err().println("cofferdam: " + failure));
            } finally {
              free.release();
            }
          });
        }
      } catch (InterruptedException | ClosedByInterruptException e) {
        executor.shutdownNow();
        return 0;
      }
    }
  }

  private static int port(String text, int least) {
    int port = Integer.parseInt(text);
    if (port < least || port > 65535) {
      throw new ClientException("port " + port + ": expected " + least + " to 65535");
    }
    return port;
  }

  /** On 127.0.0.1 alone: whoever reaches it reaches into the sandbox. */
  private static ServerSocketChannel listen(int port) throws IOException {
    ServerSocketChannel listener = ServerSocketChannel.open();
    try {
      return listener.bind(
          new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port));
    } catch (BindException e) {
      listener.close();
      throw new ClientException(
          "cannot listen on 127.0.0.1:%d (%s): name another port, as in 0:PORT"
              .formatted(port, e.getMessage()));
    }
  }
}
