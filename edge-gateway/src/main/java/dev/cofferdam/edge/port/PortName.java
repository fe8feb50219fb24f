package dev.cofferdam.edge.port;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A port of a sandbox, as a host name says it: {@code 8080-sb-…} in front of the edge's domain.
 *
 * @param port 1 to 65535
 * @param sandbox its id
 */
record PortName(int port, String sandbox) implements HostName {
  private static final Pattern LABEL = Pattern.compile("([1-9][0-9]{0,4})-(sb-[a-z2-7]{20})");
  private static final int MAX_PORT = 65535;

  /** Empty for a label that says none. */
  static Optional<PortName> of(String label) {
    Matcher matcher = LABEL.matcher(label);
    return matcher.matches() && Integer.parseInt(matcher.group(1)) <= MAX_PORT
        ? Optional.of(new PortName(Integer.parseInt(matcher.group(1)), matcher.group(2)))
        : Optional.empty();
  }
}
