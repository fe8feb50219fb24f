package dev.cofferdam.gateway.placeholder;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.List;

/** Whatever a body is: nothing of it is lost, and how it is cut hides no placeholder. */
public final class BodyScannerFuzz {
  private BodyScannerFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    List<String> whole = scan(input, Math.max(1, input.length));
    for (int size : new int[] {1, 7}) {
      List<String> inPieces = scan(input, size);
      if (!whole.equals(inPieces)) {
        throw new AssertionError("whole: " + whole + ", in pieces of " + size + ": " + inPieces);
      }
    }
  }

  private static List<String> scan(byte[] input, int size) {
    ByteArrayOutputStream left = new ByteArrayOutputStream();
    try (BodyScanner scanner = new BodyScanner()) {
      for (int at = 0; at < input.length; at += size) {
        take(
            scanner.feed(
                Unpooled.copiedBuffer(input, at, Math.min(size, input.length - at)), false),
            left);
      }
      take(scanner.feed(Unpooled.EMPTY_BUFFER, true), left);
      if (!Arrays.equals(left.toByteArray(), input)) {
        throw new AssertionError("of " + input.length + " bytes " + left.size() + " left");
      }
      return scanner.found().stream().map(Candidates.Found::placeholder).toList();
    }
  }

  private static void take(ByteBuf leaving, ByteArrayOutputStream into) {
    byte[] bytes = new byte[leaving.readableBytes()];
    leaving.readBytes(bytes).release();
    into.writeBytes(bytes);
  }
}
