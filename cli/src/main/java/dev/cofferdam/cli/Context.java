package dev.cofferdam.cli;

import java.io.InputStream;
import java.io.PrintStream;
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
}
