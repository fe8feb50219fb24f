package dev.cofferdam.gateway.placeholder;

import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_CLEARTEXT;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_TOO_OFTEN;

import dev.cofferdam.gateway.http.Header;
import dev.cofferdam.gateway.http.RequestHead;
import dev.cofferdam.gateway.policy.Host;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Judges every placeholder of a request by the grants of its sandbox: one that stands anywhere but
 * in a target bound to this host refuses the whole request.
 */
public final class Judge {
  /** {@code MaterializeRequest.uses} takes no more. */
  private static final int MAX_USES = 16;

  private final Map<PlaceholderHash, Grant> grants;

  public Judge(List<Grant> grants) {
    Map<PlaceholderHash, Grant> byHash = new HashMap<>();
    grants.forEach(grant -> grant.inherited().forEach(hash -> byHash.put(hash, grant)));
    grants.forEach(grant -> byHash.put(grant.placeholder(), grant));
    this.grants = Map.copyOf(byHash);
  }

  private record Place(String placeholder, boolean plain, Target target) {}

  /** What a cap on occurrences is for, by whatever placeholders stand for the grant. */
  private record Capped(Grant grant, Target target) {}

  /** Judges all of a request but its body. */
  public Judgement judge(RequestHead head, Host.Name host, boolean tls) {
    List<Place> places = places(head);
    Map<Use, Integer> counts = new LinkedHashMap<>();
    Map<Capped, Integer> sums = new HashMap<>();
    for (Place place : places) {
      Optional<Grant> grant = granted(place.placeholder());
      Optional<Judgement.Refuse> refusal = refuse(place, grant, host, tls);
      if (refusal.isPresent()) {
        return refusal.get();
      }
      grant.ifPresent(g -> {
        counts.merge(new Use(g, place.placeholder(), place.target(), 1), 1, Integer::sum);
        sums.merge(new Capped(g, place.target()), 1, Integer::sum);
      });
    }
    List<Use> uses = new ArrayList<>();
    for (Map.Entry<Use, Integer> entry : counts.entrySet()) {
      Use use = entry.getKey();
      int most =
          use.grant().bindings().stream()
              .filter(b -> b.covers(host) && b.permits(use.target()) && (tls || b.cleartext()))
              .mapToInt(Binding::occurrences)
              .max()
              .orElse(0);
      int stands = sums.getOrDefault(new Capped(use.grant(), use.target()), 0);
      if (stands > most || counts.size() > MAX_USES) {
        return new Judgement.Refuse(
            EGRESS_REASON_PLACEHOLDER_TOO_OFTEN,
            "the placeholder of '%s' stands %d times in %s, allowed are %d"
                .formatted(use.grant().secret(), stands, use.target(), most),
            use.grant().secret(),
            use.target());
      }
      uses.add(new Use(use.grant(), use.placeholder(), use.target(), entry.getValue()));
    }
    return new Judgement.Proceed(uses);
  }

  /** For what was found where no target can be: in a body, or in trailers. */
  public Judgement.Refuse outside(String placeholder, String part, Host.Name host) {
    Place place = new Place(placeholder, false, new Target.Elsewhere(part));
    return refuse(place, granted(placeholder), host, true)
        .orElseThrow(() -> new IllegalStateException("no binding can name " + part));
  }

  private Optional<Grant> granted(String placeholder) {
    return Optional.ofNullable(grants.get(PlaceholderHash.of(placeholder)));
  }

  private static Optional<Judgement.Refuse> refuse(
      Place place, Optional<Grant> grant, Host.Name host, boolean tls) {
    if (grant.isEmpty()) {
      return Optional.of(
          new Judgement.Refuse(
              EGRESS_REASON_PLACEHOLDER_FOREIGN,
              "what looks like a placeholder in %s was not granted to this sandbox"
                  .formatted(place.target()),
              "",
              place.target()));
    }
    String secret = grant.get().secret();
    List<Binding> here = grant.get().bindings().stream().filter(b -> b.covers(host)).toList();
    if (here.isEmpty()) {
      return Optional.of(
          new Judgement.Refuse(
              EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND,
              "secret '%s' is not bound to %s".formatted(secret, host),
              secret,
              place.target()));
    }
    List<Binding> fitting = here.stream().filter(b -> b.permits(place.target())).toList();
    if (fitting.isEmpty() || !place.plain()) {
      return Optional.of(
          new Judgement.Refuse(
              EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET,
              "the placeholder of '%s' stands in %s%s, where it may not be used"
                  .formatted(secret, place.target(), place.plain() ? "" : ", altered"),
              secret,
              place.target()));
    }
    if (!tls && fitting.stream().noneMatch(Binding::cleartext)) {
      return Optional.of(
          new Judgement.Refuse(
              EGRESS_REASON_PLACEHOLDER_CLEARTEXT,
              "secret '%s' may not leave without TLS".formatted(secret),
              secret,
              place.target()));
    }
    return Optional.empty();
  }

  private static List<Place> places(RequestHead head) {
    List<Place> places = new ArrayList<>();
    add(places, head.method(), new Target.Elsewhere("method"));
    add(places, head.authority(), new Target.Elsewhere("host"));
    add(places, head.path(), new Target.Elsewhere("path"));
    // Looked at as a whole too: a placeholder may reach over '?' or '&' in another spelling.
    add(places, head.target(), new Target.Elsewhere("path"));
    for (Header header : head.headers().lines()) {
      Target target = new Target.Header(header.name());
      add(places, header.name(), new Target.Elsewhere("header name"));
      Optional<Basic> basic = Basic.of(header);
      if (basic.isPresent()) {
        add(places, basic.get().username(), new Target.BasicUsername());
        add(places, basic.get().password(), new Target.BasicPassword());
      } else {
        add(places, header.value(), target);
      }
    }
    return places;
  }

  private static void add(List<Place> places, String text, Target target) {
    Candidates.in(text)
        .forEach(found -> places.add(new Place(found.placeholder(), found.plain(), target)));
  }
}
