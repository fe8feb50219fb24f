package dev.cofferdam.edge.port;

import dev.cofferdam.edge.protocol.HttpError;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A port of a sandbox, as a host name says it: {@code 8080-sb-…} in front of the edge's domain.
 *
 * @param port 1 to 65535
 * @param sandbox its id
 */
record PortName(int port, String sandbox) {
  /** RFC 9110 section 4.2: no user in front of a host. */
  private static final Pattern HOST = Pattern.compile("[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?");

  private static final Pattern LABEL = Pattern.compile("([1-9][0-9]{0,4})-(sb-[a-z2-7]{20})");
  private static final int MAX_PORT = 65535;

  /**
   * @param authority of Host or {@code :authority}
   * @param domain in lower case
   * @throws HttpError 400 for what is no host, 421 for one that is none of ours
   */
  static PortName of(String authority, String domain) throws HttpError {
    if (!HOST.matcher(authority).matches()) {
      throw new HttpError(400, "HOST_INVALID", "the Host is no host name");
    }
    String host = authority.toLowerCase(Locale.ROOT).replaceFirst(":[0-9]+$", "");
    String end = "." + domain;
    if (host.endsWith(end)) {
      Matcher label = LABEL.matcher(host.substring(0, host.length() - end.length()));
      if (label.matches() && Integer.parseInt(label.group(1)) <= MAX_PORT) {
        return new PortName(Integer.parseInt(label.group(1)), label.group(2));
      }
    }
    throw new HttpError(421, "HOST_UNKNOWN", "expected a host <port>-<sandbox>" + end);
  }
}
