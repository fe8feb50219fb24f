package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.catalog.KnownSecrets;
import dev.cofferdam.broker.catalog.Secret;
import dev.cofferdam.broker.grant.MaterialiseRequest.Found;
import dev.cofferdam.broker.grant.Outcome.Denial;
import dev.cofferdam.broker.grant.Outcome.Release;
import dev.cofferdam.broker.grant.Places.Held;
import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.Bindings;
import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.broker.policy.Use;
import dev.cofferdam.broker.policy.UseLimits;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.v1.EgressReason;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * What a batch of materialisations is decided by: rows held against change until the transaction
 * ends, so that a revocation is before or after it and never in between.
 */
record Ledger(
    Map<String, Sandbox.Standing> sandboxes,
    Map<String, List<Grant>> grants,
    Map<String, List<Held>> places,
    Map<UUID, Secret> secrets,
    Map<String, Used> used,
    Instant now) {
  static Ledger read(Tx tx, KnownSecrets known, List<String> ids, Instant now) throws SQLException {
    Tx.Select<Sandbox.Standing> standing = Sandbox.share(ids);
    Tx.Select<Grant> granted = Grant.share(ids);
    Tx.Select<Held> attached = Places.share(ids);
    Tx.Select<KnownSecrets.State> named = KnownSecrets.granted(ids);
    tx.run(standing, granted, attached, named);
    List<Grant> grants = granted.rows();
    Map<UUID, Secret> secrets = known.read(tx, named.rows());
    List<String> counted =
        grants.stream()
            .filter(grant -> !grant.revoked() && secrets.containsKey(grant.secret()))
            .filter(grant -> limits(secrets, grant).counted())
            .map(Grant::id)
            .toList();
    return new Ledger(
        standing.rows().stream().collect(Collectors.toMap(Sandbox.Standing::id, s -> s)),
        grants.stream().collect(Collectors.groupingBy(Grant::sandbox)),
        attached.rows().stream().collect(Collectors.groupingBy(held -> held.place().sandbox())),
        secrets,
        Used.hold(tx, counted, now),
        now);
  }

  /** Writes down what was counted. */
  void write(Tx tx) throws SQLException {
    for (Used each : used.values()) {
      each.write(tx);
    }
  }

  private static UseLimits limits(Map<UUID, Secret> secrets, Grant grant) {
    Secret secret = secrets.get(grant.secret());
    return secret == null ? UseLimits.NONE : secret.limits();
  }

  Outcome decide(MaterialiseRequest request) {
    Sandbox.Standing sandbox = sandboxes.get(request.sandbox());
    if (sandbox == null) {
      return refuseAll("", request, EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    }
    if (sandbox.ended(now)) {
      return refuseAll(sandbox.tenant(), request, EgressReason.EGRESS_REASON_GRANT_REVOKED);
    }
    Optional<Held> place = place(sandbox, request);
    if (place.isEmpty()) {
      return refuseAll(sandbox.tenant(), request, EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    }
    List<Release> releases = new ArrayList<>();
    List<Denial> denials = new ArrayList<>();
    Set<Grant> grantsUsed = new LinkedHashSet<>();
    for (Found found : request.uses()) {
      Optional<Grant> grant = grant(sandbox, found.placeholderHash());
      Optional<EgressReason> reason = refuse(request, found, sandbox, place.get(), grant);
      if (reason.isPresent()) {
        denials.add(new Denial(found, grant.map(Grant::secretName).orElse(""), reason.get()));
      } else {
        releases.add(release(found, grant.orElseThrow()));
        grantsUsed.add(grant.orElseThrow());
      }
    }
    if (!denials.isEmpty()) {
      return allOrNone(sandbox.tenant(), releases, denials);
    }
    // However many of its placeholders stand in it, a request is one use of a grant.
    grantsUsed.forEach(this::count);
    return new Outcome.Released(sandbox.tenant(), releases);
  }

  private void count(Grant grant) {
    Used counted = used.get(grant.id());
    if (counted != null) {
      counted.count(limits(secrets, grant), now);
    }
  }

  private Optional<EgressReason> overLimit(Grant grant) {
    UseLimits limits = limits(secrets, grant);
    if (limits.expired(now)) {
      return Optional.of(EgressReason.EGRESS_REASON_SECRET_EXPIRED);
    }
    Used counted = used.get(grant.id());
    return counted == null || counted.allows(limits, now)
        ? Optional.empty()
        : Optional.of(EgressReason.EGRESS_REASON_CAP_EXCEEDED);
  }

  private Optional<Held> place(Sandbox.Standing sandbox, MaterialiseRequest request) {
    if (request.generation() != sandbox.generation()) {
      return Optional.empty();
    }
    return places.getOrDefault(sandbox.id(), List.of()).stream()
        .filter(held ->
            held.place().gateway().equals(request.gateway())
                && held.place().slotAddress().equals(request.slotAddress())
                && held.place().generation() == request.generation())
        .findFirst();
  }

  private Optional<EgressReason> refuse(
      MaterialiseRequest request,
      Found found,
      Sandbox.Standing sandbox,
      Held place,
      Optional<Grant> grant) {
    if (grant.isEmpty() || grant.get().generation() != sandbox.generation()) {
      return Optional.of(EgressReason.EGRESS_REASON_PLACEHOLDER_FOREIGN);
    }
    Optional<Secret> secret = secret(grant);
    if (grant.get().revoked() || secret.isEmpty()) {
      return Optional.of(EgressReason.EGRESS_REASON_GRANT_REVOKED);
    }
    // The gateway does not ask then; one that does has no reason to.
    if (sandbox.learns()) {
      return Optional.of(EgressReason.EGRESS_REASON_LEARNING);
    }
    if (place.suspended()) {
      return Optional.of(EgressReason.EGRESS_REASON_GRANT_SUSPENDED);
    }
    Optional<Target> target = found.knownTarget();
    if (target.isEmpty()) {
      return Optional.of(EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    }
    if (found.signing().isPresent() && !found.signing().get().timely(now)) {
      return Optional.of(EgressReason.EGRESS_REASON_SIGNATURE_DATE);
    }
    return Bindings.refuse(
            secret.get().bindings(),
            new Use(
                request.host(),
                target.get(),
                occurrences(request, grant.get(), target.get()),
                request.tls()))
        .or(() -> overLimit(grant.get()));
  }

  /** In one target, by whatever placeholders stand for the grant: the cap is the value's. */
  private static int occurrences(MaterialiseRequest request, Grant grant, Target target) {
    long sum =
        request.uses().stream()
            .filter(use -> grant.answersTo(use.placeholderHash()))
            .filter(use -> use.knownTarget().filter(target::equals).isPresent())
            .mapToLong(Found::occurrences)
            .sum();
    return (int) Math.min(sum, Integer.MAX_VALUE);
  }

  /** The latest that answers to it: an older one may have inherited the same. */
  private Optional<Grant> grant(Sandbox.Standing sandbox, ByteString hash) {
    return grants.getOrDefault(sandbox.id(), List.of()).stream()
        .filter(grant -> grant.answersTo(hash))
        .max(Comparator.comparingLong(Grant::generation));
  }

  private Release release(Found found, Grant grant) {
    boolean inherited = !grant.placeholderHash().equals(found.placeholderHash());
    Secret secret = secret(Optional.of(grant)).orElseThrow();
    return new Release(
        found,
        secret.key(),
        inherited,
        found.knownTarget().flatMap(target -> Binding.hmac(secret.bindings(), target)),
        secret.oauth());
  }

  private Optional<Secret> secret(Optional<Grant> grant) {
    return grant.map(Grant::secret).map(secrets::get);
  }

  private static Outcome refuseAll(String tenant, MaterialiseRequest request, EgressReason reason) {
    return new Outcome.Refused(
        tenant,
        reason,
        request.uses().stream().map(found -> new Denial(found, "", reason)).toList());
  }

  private static Outcome allOrNone(String tenant, List<Release> releases, List<Denial> denials) {
    EgressReason reason = denials.getFirst().reason();
    List<Denial> all = new ArrayList<>(denials);
    // Those that would have been allowed are on record as what they became.
    releases.forEach(release -> all.add(new Denial(release.found(), release.key().name(), reason)));
    return new Outcome.Refused(tenant, reason, all);
  }
}
