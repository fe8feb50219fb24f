package dev.cofferdam.cli;

import dev.cofferdam.v1.TerminalSize;
import java.util.function.IntConsumer;

/** What a program has instead of a terminal. */
final class NoTerminal implements Terminal {
  @Override
  public boolean interactive() {
    return false;
  }

  @Override
  public TerminalSize size() {
    return TerminalSize.newBuilder().setRows(24).setColumns(80).build();
  }

  @Override
  public Raw raw() {
    throw new IllegalStateException("there is no terminal");
  }

  @Override
  public void onSignal(IntConsumer listener) {}

  @Override
  public void onResize(Runnable listener) {}

  @Override
  public char[] readHidden(String prompt) {
    throw new IllegalStateException("there is no terminal");
  }
}
