package dev.cofferdam.node.oci;

import java.net.URI;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A registry, or another server that one sends its callers to, that the operator allows.
 *
 * @param secure over TLS
 * @param host in lower case
 * @param port 1 to 65,535
 */
public record Registry(boolean secure, String host, int port) {
  private static final Pattern FORM =
      Pattern.compile("(http://|https://)?([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))(?::([0-9]{1,5}))?");

  public Registry {
    if (port < 1 || port > 65_535) {
      throw new IllegalArgumentException("port is " + port + ", expected 1 to 65535");
    }
    host = host.toLowerCase(Locale.ROOT);
  }

  /**
   * @throws IllegalArgumentException when it is not {@code [http://]host[:port]}
   */
  public static Registry parse(String text) {
    Matcher matcher = FORM.matcher(text);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "registry is '%s', expected [http://]host[:port]".formatted(text));
    }
    boolean secure = !"http://".equals(matcher.group(1));
    String port = matcher.group(3);
    return new Registry(
        secure, matcher.group(2), port == null ? standard(secure) : Integer.parseInt(port));
  }

  /** Whether an image's reference names it so. */
  boolean isNamed(String authority) {
    String lower = authority.toLowerCase(Locale.ROOT);
    return lower.equals(host + ":" + port) || (port == standard(secure) && lower.equals(host));
  }

  /** Whether an address leads there and nowhere else. */
  boolean serves(URI uri) {
    String scheme = String.valueOf(uri.getScheme()).toLowerCase(Locale.ROOT);
    return scheme.equals(secure ? "https" : "http")
        && uri.getRawUserInfo() == null
        && host.equalsIgnoreCase(uri.getHost())
        && port == (uri.getPort() < 0 ? standard(secure) : uri.getPort());
  }

  /** Whether what goes to the registry may also go there, as far as who listens is concerned. */
  boolean isAsSafe(URI uri) {
    return !secure || "https".equalsIgnoreCase(uri.getScheme());
  }

  URI uri(String path) {
    return URI.create((secure ? "https://" : "http://") + host + ":" + port + path);
  }

  private static int standard(boolean secure) {
    return secure ? 443 : 80;
  }
}
