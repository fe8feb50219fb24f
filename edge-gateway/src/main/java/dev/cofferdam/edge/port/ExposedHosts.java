package dev.cofferdam.edge.port;

import dev.cofferdam.kit.call.ExposedHost;
import java.util.Optional;
import java.util.random.RandomGenerator;

/** Names for exposed ports as the SDKs show them, behind {@code https://}. */
public final class ExposedHosts {
  private static final int HTTPS = 443;

  private final String end;
  private final RandomGenerator random;

  /**
   * @param domain in lower case
   * @param port at which the world finds the listener of ports' URLs
   */
  public ExposedHosts(String domain, int port, RandomGenerator random) {
    this.end = "." + domain + (port == HTTPS ? "" : ":" + port);
    this.random = random;
  }

  /** A new name, which stands for nothing yet. */
  public String domain(String sandbox) {
    return ExposedHost.random(sandbox, random).label() + end;
  }

  /** Empty for what {@link #domain} does not answer. */
  Optional<ExposedHost> host(String domain) {
    return domain.endsWith(end)
        ? ExposedHost.of(domain.substring(0, domain.length() - end.length()))
        : Optional.empty();
  }
}
