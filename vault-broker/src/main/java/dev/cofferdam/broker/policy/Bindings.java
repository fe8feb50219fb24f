package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import java.util.List;
import java.util.Optional;

/** Decisions over the bindings of one secret. */
public final class Bindings {
  private Bindings() {}

  /**
   * Why a use is refused; empty where any one binding allows all of it. Of several bindings the
   * reason of the one that came nearest is told.
   */
  public static Optional<EgressReason> refuse(List<Binding> bindings, Use use) {
    int nearest = 0;
    for (Binding binding : bindings) {
      int passed = passed(binding, use);
      if (passed == 4) {
        return Optional.empty();
      }
      nearest = Math.max(nearest, passed);
    }
    return Optional.of(
        switch (nearest) {
          case 0 -> EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND;
          case 1 -> EgressReason.EGRESS_REASON_PLACEHOLDER_CLEARTEXT;
          case 2 -> EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET;
          default -> EgressReason.EGRESS_REASON_PLACEHOLDER_TOO_OFTEN;
        });
  }

  /**
   * Refuses bindings that allow any use which the present ones do not. Fewer hosts, fewer targets
   * and lower caps pass, in any arrangement; what is required stays so for what is left.
   */
  public static void checkNarrower(List<Binding> present, List<Binding> wanted) {
    for (Binding binding : wanted) {
      for (HostPattern host : binding.hosts()) {
        for (Target target : binding.targets()) {
          if (present.stream().noneMatch(own -> allows(own, binding, host, target))) {
            throw new Refusal(
                ErrorReason.ERROR_REASON_BINDING_WIDENED,
                "%s with %s, %d times%s%s is more than the secret is bound to; widening needs the value again"
                    .formatted(
                        host,
                        target.text(),
                        binding.occurrences(),
                        binding.cleartext() ? ", without TLS too," : "",
                        binding.require() ? "" : ", beside keys of the guest's own,"));
          }
        }
      }
    }
  }

  private static boolean allows(Binding own, Binding wanted, HostPattern host, Target target) {
    return own.hosts().stream().anyMatch(pattern -> pattern.contains(host))
        && own.covers(target)
        && wanted.occurrences() <= own.occurrences()
        && (own.cleartext() || !wanted.cleartext())
        && (wanted.require() || !own.require())
        && wanted.hmac().equals(own.hmac());
  }

  private static int passed(Binding binding, Use use) {
    if (!binding.matchesHost(use.host())) {
      return 0;
    }
    if (!use.tls() && !binding.cleartext()) {
      return 1;
    }
    if (!binding.covers(use.target())) {
      return 2;
    }
    return use.occurrences() <= binding.occurrences() ? 4 : 3;
  }
}
