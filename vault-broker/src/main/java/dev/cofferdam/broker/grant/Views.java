package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.catalog.Secret;
import dev.cofferdam.broker.catalog.SecretRows;
import dev.cofferdam.broker.grant.Places.Place;
import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.internal.v1.GrantedSecret;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** What a gateway has to know of a sandbox, put together from the rows. */
final class Views {
  private Views() {}

  static Attachment of(Tx tx, Place place, Sandbox sandbox) throws SQLException {
    Attachment.Builder view =
        Attachment.newBuilder()
            .setSandbox(sandbox.id())
            .setTenant(sandbox.tenant())
            .setLineage(sandbox.lineage())
            .setGeneration(sandbox.generation())
            .setEpoch(place.epoch())
            .setNode(place.node())
            .setSlotAddress(place.slotAddress())
            .setPolicy(sandbox.policy())
            .setPolicyRevision(sandbox.policyRevision())
            .setCaCertificate(Lineages.read(tx, sandbox.lineage()).certificate());
    List<Grant> grants = Grant.live(tx, sandbox);
    Map<UUID, Secret> secrets =
        SecretRows.byId(
            tx, grants.stream().map(Grant::secret).distinct().toList(), SecretRows.Lock.NONE);
    for (Grant grant : grants) {
      Secret secret = secrets.get(grant.secret());
      if (secret != null) {
        view.addSecrets(granted(grant, secret));
      }
    }
    return view.build();
  }

  private static GrantedSecret granted(Grant grant, Secret secret) {
    return GrantedSecret.newBuilder()
        .setGrant(grant.id())
        .setSecret(secret.name())
        .setPlaceholderSha256(grant.placeholderHash())
        .addAllInheritedSha256(grant.inherited())
        .addAllBindings(secret.bindings().stream().map(Views::binding).toList())
        .setWeak(secret.weak())
        .build();
  }

  private static GrantedBinding binding(Binding binding) {
    return GrantedBinding.newBuilder()
        .addAllHosts(binding.hosts().stream().map(HostPattern::toString).toList())
        .addAllTargets(binding.targets().stream().map(Target::text).toList())
        .setOccurrences(binding.occurrences())
        .setCleartext(binding.cleartext())
        .build();
  }
}
