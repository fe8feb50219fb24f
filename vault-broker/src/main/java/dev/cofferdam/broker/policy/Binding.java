package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Where a secret may be used.
 *
 * @param hosts 1 to {@value #MAX_HOSTS}
 * @param targets at least 1; {@link #of} fills in the defaults
 * @param occurrences how often the placeholder may stand in one target, 1 to {@value
 *     #MAX_OCCURRENCES}
 * @param cleartext also in requests that leave without TLS
 * @param require nothing else than a placeholder may stand in one of the targets
 * @param hmac by which it signs requests; its target is the only one then
 */
public record Binding(
    List<HostPattern> hosts,
    List<Target> targets,
    int occurrences,
    boolean cleartext,
    boolean require,
    Optional<Hmac> hmac) {
  public static final int MAX_HOSTS = 64;
  public static final int MAX_TARGETS = 64;
  public static final int MAX_OCCURRENCES = 16;

  private static final List<Target> DEFAULT_TARGETS =
      List.of(
          new Target.Header("authorization"),
          new Target.Header("x-api-key"),
          new Target.Basic(Target.Basic.Part.PASSWORD));

  /** How many bindings a secret may have. */
  public static final int MAX_BINDINGS = 64;

  public Binding {
    hosts = List.copyOf(hosts);
    targets = List.copyOf(targets);
    if (hosts.isEmpty() || hosts.size() > MAX_HOSTS) {
      throw invalid("a binding has %d hosts, expected 1 to %d".formatted(hosts.size(), MAX_HOSTS));
    }
    if (targets.isEmpty() || targets.size() > MAX_TARGETS) {
      throw invalid(
          "a binding has %d targets, expected 1 to %d".formatted(targets.size(), MAX_TARGETS));
    }
    if (occurrences < 1 || occurrences > MAX_OCCURRENCES) {
      throw invalid(
          "a binding has %s occurrences, expected 1 to %d"
              .formatted(Integer.toUnsignedString(occurrences), MAX_OCCURRENCES));
    }
    if (require && targets.stream().anyMatch(Target.AnyHeader.class::isInstance)) {
      throw invalid("a binding requires a placeholder in header:*, expected named headers");
    }
    if (require && targets.stream().anyMatch(Target.WebSocketFrame.class::isInstance)) {
      throw invalid(
          "a binding requires a placeholder in every websocket-frame, expected targets of"
              + " requests");
    }
    List<Target> signing = hmac.<List<Target>>map(by -> List.of(by.target())).orElse(List.of());
    if (!targets.stream().filter(Target::signedByHmac).toList().equals(signing)) {
      throw invalid(
          "a binding has targets beside a signature by HMAC, or one of it without, expected"
              + " the signature alone");
    }
  }

  public Binding(
      List<HostPattern> hosts,
      List<Target> targets,
      int occurrences,
      boolean cleartext,
      boolean require) {
    this(hosts, targets, occurrences, cleartext, require, Optional.empty());
  }

  /** A binding as its owner writes it: no targets are the usual ones, 0 occurrences are 1. */
  public static Binding of(
      List<HostPattern> hosts,
      List<Target> targets,
      int occurrences,
      boolean cleartext,
      boolean require,
      Optional<Hmac> hmac) {
    List<Target> usual = hmac.<List<Target>>map(by -> List.of(by.target())).orElse(DEFAULT_TARGETS);
    return new Binding(
        hosts,
        targets.isEmpty() ? usual : targets.stream().distinct().toList(),
        occurrences == 0 ? 1 : occurrences,
        cleartext,
        require,
        hmac);
  }

  /** Refuses a secret that is bound to nothing, or to more than can be looked through. */
  public static List<Binding> checked(List<Binding> bindings) {
    if (bindings.isEmpty() || bindings.size() > MAX_BINDINGS) {
      throw invalid(
          "the secret has %d bindings, expected 1 to %d".formatted(bindings.size(), MAX_BINDINGS));
    }
    List<Target> targets = bindings.stream().flatMap(b -> b.targets().stream()).toList();
    if (targets.stream().anyMatch(Target::signed)
        && targets.stream().map(Object::getClass).distinct().count() > 1) {
      throw invalid(
          "the secret is to sign requests in two ways, or to sign them and to stand in them too,"
              + " expected one: a key that signs is never handed out");
    }
    Map<Target, Hmac> byTarget = new HashMap<>();
    for (Binding binding : bindings) {
      binding
          .hmac()
          .ifPresent(by -> {
            if (!byTarget.computeIfAbsent(by.target(), _ -> by).equals(by)) {
              throw invalid(
                  "the secret signs two ways into %s, expected one".formatted(by.target().text()));
            }
          });
    }
    return List.copyOf(bindings);
  }

  /** Whether a secret with these bindings is a credential of AWS. */
  public static boolean ofAws(List<Binding> checked) {
    return checked.getFirst().targets().getFirst() instanceof Target.Aws4;
  }

  /** How a secret with these bindings signs into a header; what it was checked to be alike in. */
  public static Optional<Hmac> hmac(List<Binding> checked, Target target) {
    return checked.stream()
        .flatMap(binding -> binding.hmac().stream())
        .filter(by -> by.target().equals(target))
        .findFirst();
  }

  boolean matchesHost(String host) {
    return hosts.stream().anyMatch(pattern -> pattern.matches(host));
  }

  boolean covers(Target target) {
    return targets.stream().anyMatch(own -> own.covers(target));
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_BINDING_INVALID, message);
  }
}
