package dev.cofferdam.gateway.proxy;

import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** Whatever a program asks of the explicit proxy: what is sent on is one head without its token. */
public final class ProxyCallsFuzz {
  private static final String END = "\r\n\r\n";

  private ProxyCallsFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    int end = text.indexOf(END);
    String head = (end < 0 ? text : text.substring(0, end)) + END;
    try {
      ProxyCall call = ProxyCall.parse(head);
      if (call.port() < 1 || call.port() > 65535) {
        throw new AssertionError(head + "\nread as " + call);
      }
      call.inOriginForm().ifPresent(origin -> check(head, origin));
    } catch (ProxyCall.RefusedException e) {
      // As it should be.
    }
  }

  private static void check(String head, String origin) {
    if (origin.indexOf(END) != origin.length() - END.length()
        || !origin.substring(origin.indexOf(' ') + 1).startsWith("/")
        || origin.toLowerCase(Locale.ROOT).contains("\r\nproxy-authorization:")) {
      throw new AssertionError(head + "\nsent as " + origin);
    }
  }
}
