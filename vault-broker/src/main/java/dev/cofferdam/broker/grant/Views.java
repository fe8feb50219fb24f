package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
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
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** What a gateway has to know of a sandbox, put together from the rows. */
final class Views {
  private Views() {}

  static Attachment of(Tx tx, Place place, Sandbox sandbox) throws SQLException {
    return of(place, sandbox, granted(tx, List.of(sandbox.id())));
  }

  /** By place; without those whose sandbox is not known. */
  static Map<Place, Attachment> of(Tx tx, List<Place> places) throws SQLException {
    List<String> ids = places.stream().map(Place::sandbox).distinct().toList();
    Map<Place, Attachment> views = new LinkedHashMap<>();
    if (!ids.isEmpty()) {
      Map<String, Sandbox> sandboxes = Sandbox.readAll(tx, ids);
      Map<String, List<Live>> granted = granted(tx, ids);
      for (Place place : places) {
        Sandbox sandbox = sandboxes.get(place.sandbox());
        if (sandbox != null) {
          views.put(place, of(place, sandbox, granted));
        }
      }
    }
    return views;
  }

  private static Attachment of(Place place, Sandbox sandbox, Map<String, List<Live>> granted) {
    return Attachment.newBuilder()
        .setSandbox(sandbox.id())
        .setTenant(sandbox.tenant())
        .setLineage(sandbox.lineage())
        .setGeneration(sandbox.generation())
        .setEpoch(place.epoch())
        .setNode(place.node())
        .setSlotAddress(place.slotAddress())
        .setPolicy(sandbox.policy())
        .setPolicyRevision(sandbox.policyRevision())
        .setCaCertificate(sandbox.root())
        .setProxyTokenSha256(
            sandbox.session().map(Sandbox.Session::tokenHash).orElse(ByteString.EMPTY))
        .addAllSecrets(
            granted.getOrDefault(sandbox.id(), List.of()).stream()
                .filter(live -> live.grant().generation() == sandbox.generation())
                .map(Views::granted)
                .toList())
        .build();
  }

  /** A grant that is not revoked, and its secret. */
  private record Live(Grant grant, Secret secret) {}

  private static Map<String, List<Live>> granted(Tx tx, List<String> sandboxes)
      throws SQLException {
    List<Grant> grants = Grant.live(tx, sandboxes);
    if (grants.isEmpty()) {
      return Map.of();
    }
    Map<UUID, Secret> secrets =
        SecretRows.byId(
            tx, grants.stream().map(Grant::secret).distinct().toList(), SecretRows.Lock.NONE);
    Map<String, List<Live>> granted = new HashMap<>();
    for (Grant grant : grants) {
      Secret secret = secrets.get(grant.secret());
      if (secret != null) {
        granted
            .computeIfAbsent(grant.sandbox(), _ -> new ArrayList<>())
            .add(new Live(grant, secret));
      }
    }
    return granted;
  }

  private static GrantedSecret granted(Live live) {
    Grant grant = live.grant();
    Secret secret = live.secret();
    GrantedSecret.Builder message = GrantedSecret.newBuilder();
    secret.shape().ifPresent(shape -> message.setShape(shape.message()));
    return message
        .setGrant(grant.id())
        .setSecret(secret.name())
        .setPlaceholderSha256(grant.placeholderHash())
        .addAllInheritedSha256(grant.inherited())
        .addAllBindings(secret.bindings().stream().map(Views::binding).toList())
        .setWeak(secret.weak())
        .build();
  }

  private static GrantedBinding binding(Binding binding) {
    GrantedBinding.Builder message = GrantedBinding.newBuilder();
    binding.hmac().ifPresent(by -> message.setHmac(by.spec()));
    return message
        .addAllHosts(binding.hosts().stream().map(HostPattern::toString).toList())
        .addAllTargets(binding.targets().stream().map(Target::text).toList())
        .setOccurrences(binding.occurrences())
        .setCleartext(binding.cleartext())
        .setRequire(binding.require())
        .build();
  }
}
