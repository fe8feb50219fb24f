package dev.cofferdam.gateway.policy;

import dev.cofferdam.kit.upstream.Cidr;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** Whatever stands for a host: it has one spelling, and no pattern means more than it says. */
public final class HostFuzz {
  private HostFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    Optional<Host> host = Host.parse(text);
    host.ifPresent(h -> {
      if (!Host.parse(h.toString()).equals(host)) {
        throw new AssertionError("'" + text + "' is " + h + ", which is another");
      }
    });
    try {
      HostPattern pattern = HostPattern.parse(text);
      if (!pattern.toString().equals(text)) {
        throw new AssertionError("'" + text + "' became " + pattern);
      }
      if (pattern.wildcard() && pattern.matches(pattern.name())) {
        throw new AssertionError("'" + text + "' matches its own apex");
      }
    } catch (IllegalArgumentException e) {
      // It is none.
    }
    try {
      Cidr.parse(text);
    } catch (IllegalArgumentException e) {
      // It is none.
    }
  }
}
