package dev.cofferdam.gateway.broker;

import com.google.common.net.InetAddresses;
import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.Binding;
import dev.cofferdam.gateway.placeholder.Grant;
import dev.cofferdam.gateway.placeholder.Hmac;
import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.gateway.placeholder.Target;
import dev.cofferdam.gateway.policy.HostPattern;
import dev.cofferdam.gateway.policy.Policy;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.internal.v1.GrantedSecret;
import dev.cofferdam.kit.egress.SigningTemplate;
import dev.cofferdam.kit.egress.SigningTemplate.Variable;
import dev.cofferdam.kit.egress.UnknownParts;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** Reads what the broker says of a sandbox. */
final class Attachments {
  private Attachments() {}

  /**
   * @throws IllegalArgumentException for what makes no sense: nothing of it is used
   */
  static Attachment read(dev.cofferdam.internal.v1.Attachment from) {
    List<Grant> grants = from.getSecretsList().stream().map(Attachments::grant).toList();
    return new Attachment(
        from.getSandbox(),
        from.getTenant(),
        from.getLineage(),
        from.getGeneration(),
        from.getEpoch(),
        from.getNode(),
        InetAddresses.forString(from.getSlotAddress()),
        Policy.compile(from.getPolicy()),
        from.getPolicyRevision(),
        grants,
        new Judge(grants),
        tokenHash(from.getProxyTokenSha256()));
  }

  private static Optional<ByteString> tokenHash(ByteString hash) {
    if (!hash.isEmpty() && hash.size() != 32) {
      throw new IllegalArgumentException(
          "a session's token has a hash of %d bytes, expected 32".formatted(hash.size()));
    }
    return Optional.of(hash).filter(there -> !there.isEmpty());
  }

  private static Grant grant(GrantedSecret from) {
    return new Grant(
        from.getGrant(),
        from.getSecret(),
        PlaceholderHash.of(from.getPlaceholderSha256().toByteArray()),
        from.getInheritedSha256List().stream()
            .map(hash -> PlaceholderHash.of(hash.toByteArray()))
            .collect(Collectors.toUnmodifiableSet()),
        from.getBindingsList().stream().map(Attachments::binding).toList(),
        from.getWeak(),
        from.hasShape()
            ? Optional.of(new Grant.Shape(from.getShape().getPrefix(), from.getShape().getLength()))
            : Optional.empty());
  }

  private static Binding binding(GrantedBinding from) {
    UnknownParts.first(from)
        .ifPresent(what -> {
          throw new IllegalArgumentException(what);
        });
    return new Binding(
        from.getHostsList().stream().map(HostPattern::parse).toList(),
        from.getTargetsList().stream()
            .map(Target::parse)
            .flatMap(Optional::stream)
            .collect(Collectors.toUnmodifiableSet()),
        Math.max(1, from.getOccurrences()),
        from.getCleartext(),
        from.getRequire(),
        from.hasHmac()
            ? Optional.of(
                new Hmac(
                    SigningTemplate.parse(
                        from.getHmac().getMessage(), EnumSet.allOf(Variable.class)),
                    from.getHmac().getTimestampHeader()))
            : Optional.empty());
  }
}
