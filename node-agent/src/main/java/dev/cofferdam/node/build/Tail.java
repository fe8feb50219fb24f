package dev.cofferdam.node.build;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Keeps the end of some output. Not safe for use by several threads. */
final class Tail extends OutputStream {
  private static final int KEPT = 1024;

  private final byte[] ring = new byte[KEPT];
  private long written;

  @Override
  public void write(int value) {
    ring[(int) (written++ % KEPT)] = (byte) value;
  }

  @Override
  public void write(byte[] bytes, int offset, int length) {
    // What is overwritten within this call need not be written.
    int from = offset + Math.max(length - KEPT, 0);
    written += from - offset;
    for (int i = from; i < offset + length; i++) {
      write(bytes[i]);
    }
  }

  /** In one line, the output's own set apart by {@code |}; empty where there was none. */
  String text() {
    int kept = (int) Math.min(written, KEPT);
    byte[] bytes = new byte[kept];
    for (int i = 0; i < kept; i++) {
      bytes[i] = ring[(int) ((written - kept + i) % KEPT)];
    }
    return String.join(
        " | ",
        Arrays.stream(new String(bytes, StandardCharsets.UTF_8).split("[\r\n]+", -1))
            .map(String::strip)
            .filter(line -> !line.isEmpty())
            .toList());
  }
}
