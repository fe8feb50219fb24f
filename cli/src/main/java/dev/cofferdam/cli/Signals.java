package dev.cofferdam.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Signals that are a child's, also those that come before there is one. */
final class Signals {
  private static final int INTERRUPT = 2;

  private final List<Integer> early = new ArrayList<>();
  private Optional<Process> child = Optional.empty();

  private Signals() {}

  /**
   * From now on none ends this process.
   *
   * @param terminal whether there is one, which tells all of its foreground of Ctrl-C by itself: a
   *     second time would be another Ctrl-C
   */
  static Signals of(Terminal own, boolean terminal) {
    Signals signals = new Signals();
    own.onSignal(signal -> signals.came(signal, terminal));
    return signals;
  }

  private synchronized void came(int signal, boolean terminal) {
    if (child.isEmpty()) {
      early.add(signal);
    } else if (!(terminal && signal == INTERRUPT)) {
      send(signal, child.get());
    }
  }

  /** The first that came while there was no child. */
  synchronized Optional<Integer> early() {
    return early.stream().findFirst();
  }

  synchronized void passTo(Process process) {
    child = Optional.of(process);
    early.forEach(signal -> send(signal, process));
    early.clear();
  }

  private static void send(int signal, Process child) {
    try {
      // The JDK sends TERM and KILL alone.
      new ProcessBuilder("/bin/sh", "-c", "kill -%d %d".formatted(signal, child.pid())).start();
    } catch (IOException e) {
      child.destroy();
    }
  }
}
