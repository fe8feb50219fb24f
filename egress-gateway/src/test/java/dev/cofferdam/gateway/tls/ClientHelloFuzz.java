package dev.cofferdam.gateway.tls;

import io.netty.buffer.Unpooled;
import java.util.Arrays;

/** Whatever a connection begins with: once there is a verdict, more bytes do not change it. */
public final class ClientHelloFuzz {
  private ClientHelloFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    ClientHello.Peek whole = ClientHello.peek(Unpooled.wrappedBuffer(input));
    for (int length = 0; length < input.length; length = length * 5 / 4 + 1) {
      ClientHello.Peek part =
          ClientHello.peek(Unpooled.wrappedBuffer(Arrays.copyOf(input, length)));
      if (!(part instanceof ClientHello.Peek.NeedsMore) && !part.equals(whole)) {
        throw new AssertionError("of " + length + " bytes " + part + ", of all " + whole);
      }
    }
  }
}
