package dev.cofferdam.cli;

import dev.cofferdam.v1.TerminalSize;
import java.util.function.IntConsumer;

/** The terminal and the signals of this process. */
public interface Terminal {
  /** Whether a person sits at both ends. */
  boolean interactive();

  /** Its size now; 24 by 80 when it cannot be told. */
  TerminalSize size();

  /** Passes keys on as they are, until closed. */
  Raw raw();

  /** Tells the numbers of INT, TERM and HUP instead of dying of them. */
  void onSignal(IntConsumer listener);

  /** Tells when the size changes. */
  void onResize(Runnable listener);

  /** A value that is not shown while it is typed. */
  char[] readHidden(String prompt);

  /** Nobody there, and no signals: for programs that use the client as a library. */
  static Terminal none() {
    return new NoTerminal();
  }

  /** Puts the terminal back. */
  interface Raw extends AutoCloseable {
    @Override
    void close();
  }
}
