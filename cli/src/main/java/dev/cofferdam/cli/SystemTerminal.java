package dev.cofferdam.cli;

import dev.cofferdam.v1.TerminalSize;
import java.io.Console;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;

/** The real one, through {@code stty}. */
final class SystemTerminal implements Terminal {
  private static final Map<String, Integer> FORWARDED = Map.of("INT", 2, "TERM", 15, "HUP", 1);

  @Override
  public boolean interactive() {
    return Optional.ofNullable(System.console()).filter(Console::isTerminal).isPresent();
  }

  @Override
  public TerminalSize size() {
    List<String> words = List.of(stty("size").strip().split(" ", -1));
    try {
      return TerminalSize.newBuilder()
          .setRows(Integer.parseInt(words.getFirst()))
          .setColumns(Integer.parseInt(words.getLast()))
          .build();
    } catch (NumberFormatException e) {
      return TerminalSize.newBuilder().setRows(24).setColumns(80).build();
    }
  }

  @Override
  public Raw raw() {
    String before = stty("-g").strip();
    stty("raw", "-echo");
    // Also when the JVM ends in some other way.
    Thread restore = new Thread(() -> stty(before));
    Runtime.getRuntime().addShutdownHook(restore);
    return () -> {
      stty(before);
      Runtime.getRuntime().removeShutdownHook(restore);
    };
  }

  @Override
  public void onSignal(IntConsumer listener) {
    FORWARDED.forEach((name, number) -> handle(name, () -> listener.accept(number)));
  }

  @Override
  public void onResize(Runnable listener) {
    handle("WINCH", listener);
  }

  @Override
  public char[] readHidden(String prompt) {
    return Optional.ofNullable(System.console())
        .map(console -> console.readPassword("%s", prompt))
        .orElseThrow(() -> new ClientException("nothing was typed"));
  }

  /**
   * The JDK has no other way to handle a signal; reflection, because the compiler warns of the
   * class by name and warnings are errors here.
   */
  private static void handle(String name, Runnable action) {
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object proxy =
          Proxy.newProxyInstance(
              SystemTerminal.class.getClassLoader(),
              new Class<?>[] {handler},
              (self, method, arguments) -> {
                if (method.getName().equals("handle")) {
                  action.run();
                }
                return null;
              });
      signal
          .getMethod("handle", signal, handler)
          .invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("cannot handle the signal " + name, e);
    }
  }

  private static String stty(String... arguments) {
    ProcessBuilder builder = new ProcessBuilder("stty");
    builder.command().addAll(List.of(arguments));
    builder.redirectInput(new File("/dev/tty"));
    try {
      Process process = builder.start();
      String output =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      process.waitFor();
      return output;
    } catch (IOException e) {
      return "";
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    }
  }
}
