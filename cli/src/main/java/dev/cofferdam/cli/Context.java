package dev.cofferdam.cli;

import io.grpc.StatusException;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.List;
import java.util.function.Supplier;

/** All that a command touches of the world. */
public record Context(
    Supplier<Connections> connections,
    InputStream in,
    PrintStream out,
    PrintStream err,
    Terminal terminal) {
  static Context system() {
    return new Context(
        () -> new TlsConnections(ClientSettings.read(System.getenv())),
        System.in,
        System.out,
        System.err,
        new SystemTerminal());
  }

  /** A call about one thing. */
  @FunctionalInterface
  interface Call {
    Object call(Connections connections, String name) throws StatusException;
  }

  /**
   * The same call for each name, over one set of connections; ends at the first that is refused.
   */
  void each(List<String> names, Call call) throws StatusException {
    try (Connections open = connections.get()) {
      for (String name : names) {
        var _ = call.call(open, name);
      }
    }
  }
}
