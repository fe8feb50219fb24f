package dev.cofferdam.edge.port;

import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.kit.call.ExposedHost;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/** What the host of a request stands for. */
sealed interface HostName permits PortName, HostName.Exposed {
  /** RFC 9110 section 4.2: no user in front of a host. */
  Pattern HOST = Pattern.compile("[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?");

  /** A name for everybody, whose port the scheduler knows, if any. */
  record Exposed(ExposedHost host) implements HostName {}

  /**
   * @param authority of Host or {@code :authority}
   * @param domain in lower case
   * @throws HttpError 400 for what is no host, 421 for one that is none of ours
   */
  static HostName of(String authority, String domain) throws HttpError {
    if (!HOST.matcher(authority).matches()) {
      throw new HttpError(400, "HOST_INVALID", "the Host is no host name");
    }
    String host = authority.toLowerCase(Locale.ROOT).replaceFirst(":[0-9]+$", "");
    String end = "." + domain;
    Optional<HostName> known = Optional.empty();
    if (host.endsWith(end)) {
      String label = host.substring(0, host.length() - end.length());
      known =
          PortName.of(label)
              .<HostName>map(name -> name)
              .or(() -> ExposedHost.of(label).map(Exposed::new));
    }
    return known.orElseThrow(
        () -> new HttpError(421, "HOST_UNKNOWN", "expected a host <port>-<sandbox>" + end));
  }
}
