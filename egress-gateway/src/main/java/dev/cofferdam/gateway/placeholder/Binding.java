package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.HostPattern;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Where a secret may be used.
 *
 * @param occurrences how often in one target, 1 to 16
 * @param cleartext also in requests that leave without TLS
 * @param require nothing else than a placeholder may stand in one of the targets
 * @param hmac what is signed, where a target is {@link Target.Hmac}
 */
public record Binding(
    List<HostPattern> hosts,
    Set<Target> targets,
    int occurrences,
    boolean cleartext,
    boolean require,
    Optional<Hmac> hmac) {
  public Binding {
    if (occurrences < 1 || occurrences > 16) {
      throw new IllegalArgumentException(occurrences + " occurrences, expected 1 to 16");
    }
    hosts = List.copyOf(hosts);
    targets = Set.copyOf(targets);
  }

  boolean covers(Host.Name host) {
    return hosts.stream().anyMatch(pattern -> pattern.matches(host));
  }

  boolean permits(Target place) {
    return targets.stream().anyMatch(target -> target.permits(place));
  }
}
