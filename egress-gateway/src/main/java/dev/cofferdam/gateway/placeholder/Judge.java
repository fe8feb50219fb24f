package dev.cofferdam.gateway.placeholder;

import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_MALFORMED_REQUEST;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_OWN_CREDENTIAL;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_CLEARTEXT;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET;
import static dev.cofferdam.v1.EgressReason.EGRESS_REASON_PLACEHOLDER_TOO_OFTEN;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.http.RequestHead;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Judges every placeholder of a request by the grants of its sandbox: one that stands anywhere but
 * in a target bound to this host refuses the whole request.
 */
public final class Judge {
  /** {@code MaterializeRequest.uses} takes no more. */
  private static final int MAX_USES = 16;

  private final Map<PlaceholderHash, Grant> grants;
  private final List<Grant> all;
  private final boolean requires;

  public Judge(List<Grant> grants) {
    Map<PlaceholderHash, Grant> byHash = new HashMap<>();
    grants.forEach(grant -> grant.inherited().forEach(hash -> byHash.put(hash, grant)));
    grants.forEach(grant -> byHash.put(grant.placeholder(), grant));
    this.grants = Map.copyOf(byHash);
    this.all = List.copyOf(grants);
    this.requires =
        grants.stream().flatMap(grant -> grant.bindings().stream()).anyMatch(Binding::require);
  }

  /**
   * @param text in which it stands
   * @param fault why nothing may be put in there; empty for none
   */
  private record Place(String placeholder, Target target, String text, String fault) {
    /** As a grant has it, which knows all of its placeholder and what becomes of it there. */
    Place of(Grant grant) {
      String whole = grant.whole(placeholder);
      Target placed = grant.place(target);
      boolean signed =
          switch (placed) {
            case Target.Hmac _, Target.HmacQuery _, Target.Aws4 _ -> true;
            default -> false;
          };
      boolean altered =
          Candidates.shaped(placeholder)
              && !Candidates.standsAs(text, placeholder, whole, target instanceof Target.Path);
      String why =
          !fault.isEmpty()
              ? fault
              : altered
                  ? ", altered"
                  : signed && !text.strip().equals(whole) ? ", with other text beside it" : "";
      return new Place(whole, placed, text, why);
    }
  }

  /** What a cap on occurrences is for, by whatever placeholders stand for the grant. */
  private record Capped(Grant grant, Target target) {}

  /** Judges all of a request but its body. */
  public Judgement judge(RequestHead head, Host.Name host, boolean tls) {
    Judgement judged = judge(places(HeadParts.of(head)), host, tls, 0);
    if (requires && judged instanceof Judgement.Proceed) {
      for (HeadParts.Credential credential : HeadParts.credentials(head)) {
        Optional<Judgement.Refuse> refusal =
            ownCredential(credential.targets(), credential.found(), host);
        if (refusal.isPresent()) {
          return refusal.get();
        }
      }
    }
    return judged;
  }

  /** Whether a secret may stand in this target at this host. */
  public boolean concerns(Target target, Host.Name host) {
    return bindings(host).anyMatch(b -> b.permits(target));
  }

  /**
   * Judges a text message of a WebSocket.
   *
   * @param text the message
   * @param found the placeholders in it
   * @param before the uses of messages before it on the same connection, which count with its own
   */
  public Judgement judgeMessage(
      String text, List<Candidates.Found> found, List<Use> before, Host.Name host, boolean tls) {
    Map<Capped, Integer> sums = new HashMap<>();
    for (Use use : before) {
      // The grant may have been narrowed since, and so be another to look at.
      granted(Candidates.core(use.placeholder()))
          .ifPresent(grant ->
              sums.merge(new Capped(grant, use.target()), use.occurrences(), Integer::sum));
    }
    List<Place> places =
        found.stream()
            .map(one ->
                new Place(
                    one.placeholder(),
                    new Target.WebSocketFrame(),
                    text,
                    one.plain() ? "" : ", altered"))
            .toList();
    return judge(places, host, tls, 0, sums);
  }

  /** Whether a body of this format has targets at this host, and so has to be read as a whole. */
  public boolean concerns(BodyFormat format, Host.Name host) {
    return bindings(host).anyMatch(b -> b.targets().stream().anyMatch(format::has));
  }

  /** Whether a body has to be parsed even where it holds no placeholder. */
  private boolean requires(BodyFormat format, Host.Name host) {
    return bindings(host)
        .filter(Binding::require)
        .anyMatch(b -> b.targets().stream().anyMatch(format::has));
  }

  private Stream<Binding> bindings(Host.Name host) {
    return all.stream().flatMap(grant -> grant.bindings().stream()).filter(b -> b.covers(host));
  }

  /** A body as the judge saw it. */
  public sealed interface OfBody {
    /** It leaves as it came. */
    record Untouched() implements OfBody {}

    /** It is written anew with values of these uses. */
    record Filled(List<Use> uses, Template template) implements OfBody {}

    record Refused(Judgement.Refuse why) implements OfBody {}
  }

  /**
   * Judges a body that was read as a whole.
   *
   * @param found the placeholders that the bytes of the body hold in whatever form, so that none is
   *     missed where the format puts it out of sight
   * @param uses of the request's head
   * @param own the boundary that a multipart body is written with
   */
  public OfBody judge(
      BodyFormat format,
      byte[] body,
      List<Candidates.Found> found,
      Host.Name host,
      boolean tls,
      int uses,
      String own) {
    if (found.isEmpty() && !requires(format, host)) {
      return new OfBody.Untouched();
    }
    Parsed parsed;
    try {
      parsed = format.parse(body, own);
    } catch (MalformedBodyException e) {
      return new OfBody.Refused(
          new Judgement.Refuse(
              EGRESS_REASON_MALFORMED_REQUEST,
              String.valueOf(e.getMessage()),
              "",
              new Target.Elsewhere("body")));
    }
    List<Place> places = places(parsed.parts());
    if (places.size() < found.size()) {
      found.forEach(one ->
          places.add(new Place(one.placeholder(), new Target.Elsewhere("body"), "", ", altered")));
    }
    return switch (judge(places, host, tls, uses)) {
      case Judgement.Refuse refuse -> new OfBody.Refused(refuse);
      case Judgement.Proceed(List<Use> needed) -> proceed(parsed, needed, host);
    };
  }

  private OfBody proceed(Parsed parsed, List<Use> needed, Host.Name host) {
    for (Part part : parsed.parts()) {
      Optional<Judgement.Refuse> refusal =
          ownCredential(List.of(part.target()), !part.found().isEmpty(), host);
      if (refusal.isPresent() && !part.text().isEmpty()) {
        return new OfBody.Refused(refusal.get());
      }
    }
    return needed.isEmpty() ? new OfBody.Untouched() : new OfBody.Filled(needed, parsed.template());
  }

  private Judgement judge(List<Place> places, Host.Name host, boolean tls, int others) {
    return judge(places, host, tls, others, new HashMap<>());
  }

  /**
   * @param sums of what stood before, to which this is added
   */
  private Judgement judge(
      List<Place> places, Host.Name host, boolean tls, int others, Map<Capped, Integer> sums) {
    Map<Use, Integer> counts = new LinkedHashMap<>();
    for (Place found : places) {
      Optional<Grant> grant = granted(found.placeholder());
      Place place = grant.map(found::of).orElse(found);
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
      if (stands > most || counts.size() + others > MAX_USES) {
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

  /** For what was found where no target can be: in trailers, or in a body that has none. */
  public Judgement.Refuse outside(String placeholder, String part, Host.Name host) {
    Place place = new Place(placeholder, new Target.Elsewhere(part), "", "");
    return refuse(place, granted(placeholder), host, true)
        .orElseThrow(() -> new IllegalStateException("no binding can name " + part));
  }

  private Optional<Grant> granted(String placeholder) {
    return Optional.ofNullable(grants.get(PlaceholderHash.of(placeholder)));
  }

  /** A credential that is not ours, where its owner wants none but ours. */
  private Optional<Judgement.Refuse> ownCredential(
      List<Target> places, boolean placeholder, Host.Name host) {
    if (placeholder) {
      return Optional.empty();
    }
    for (Grant grant : all) {
      for (Binding binding : grant.bindings()) {
        if (binding.require() && binding.covers(host)) {
          Optional<Target> place = places.stream().filter(binding::permits).findFirst();
          if (place.isPresent()) {
            return Optional.of(
                new Judgement.Refuse(
                    EGRESS_REASON_OWN_CREDENTIAL,
                    "%s holds something else than the placeholder of '%s', which is required there"
                        .formatted(place.get(), grant.secret()),
                    grant.secret(),
                    place.get()));
          }
        }
      }
    }
    return Optional.empty();
  }

  private static Optional<Judgement.Refuse> refuse(
      Place place, Optional<Grant> grant, Host.Name host, boolean tls) {
    // A name that no binding has is the guest's own text: it is not told on.
    Target shown = place.target().kind();
    if (grant.isEmpty()) {
      return Optional.of(
          new Judgement.Refuse(
              EGRESS_REASON_PLACEHOLDER_FOREIGN,
              "what looks like a placeholder in %s was not granted to this sandbox"
                  .formatted(shown),
              "",
              shown));
    }
    String secret = grant.get().secret();
    List<Binding> here = grant.get().bindings().stream().filter(b -> b.covers(host)).toList();
    if (here.isEmpty()) {
      return Optional.of(
          new Judgement.Refuse(
              EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND,
              "secret '%s' is not bound to %s".formatted(secret, host),
              secret,
              shown));
    }
    List<Binding> fitting = here.stream().filter(b -> b.permits(place.target())).toList();
    if (fitting.isEmpty() || !place.fault().isEmpty()) {
      return Optional.of(
          new Judgement.Refuse(
              EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET,
              "the placeholder of '%s' stands in %s%s, where it may not be used"
                  .formatted(secret, shown, place.fault()),
              secret,
              shown));
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

  private static List<Place> places(List<Part> parts) {
    List<Place> places = new ArrayList<>();
    for (Part part : parts) {
      for (Candidates.Found found : part.found()) {
        boolean itself =
            found.plain()
                || (part.target() instanceof Target.Path
                    && !Candidates.shaped(found.placeholder())
                    && Candidates.endsAlone(part.text(), found.placeholder()));
        String fault = !itself ? ", altered" : part.fault().isEmpty() ? "" : ", " + part.fault();
        places.add(new Place(found.placeholder(), part.target(), part.text(), fault));
      }
    }
    return places;
  }
}
