package dev.cofferdam.cli;

import dev.cofferdam.v1.TerminalSize;
import java.util.function.IntConsumer;

/** No person there unless told so; signals come when the test sends them. */
final class FakeTerminal implements Terminal {
  boolean interactive;
  String typed = "";
  int rawNow;
  int rawEver;
  private volatile IntConsumer signals = signal -> {};

  void send(int signal) {
    signals.accept(signal);
  }

  @Override
  public boolean interactive() {
    return interactive;
  }

  @Override
  public TerminalSize size() {
    return TerminalSize.newBuilder().setRows(50).setColumns(120).build();
  }

  @Override
  public Raw raw() {
    rawNow++;
    rawEver++;
    return () -> rawNow--;
  }

  @Override
  public void onSignal(IntConsumer listener) {
    signals = listener;
  }

  @Override
  public void onResize(Runnable listener) {}

  @Override
  public char[] readHidden(String prompt) {
    return typed.toCharArray();
  }
}
