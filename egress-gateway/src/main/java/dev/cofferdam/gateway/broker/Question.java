package dev.cofferdam.gateway.broker;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.internal.v1.RequestToSign;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The request that values are needed for.
 *
 * @param id 16 random bytes as hex
 * @param unauthorised ids of those of the uses' grants to whose last use the upstream answered 401
 * @param toSign what the only use that signs is to sign
 */
public record Question(
    Attachment attachment,
    String id,
    String host,
    int port,
    String method,
    String path,
    boolean tls,
    List<Use> uses,
    Set<String> unauthorised,
    Optional<RequestToSign> toSign) {

  MaterializeRequest toProto() {
    MaterializeRequest.Builder request =
        MaterializeRequest.newBuilder()
            .setSandbox(attachment.sandbox())
            .setSlotAddress(attachment.slot().getHostAddress())
            .setGeneration(attachment.generation())
            .setRequest(id)
            .setHost(host)
            .setPort(port)
            .setMethod(method)
            .setPath(path)
            .setTls(tls);
    for (Use use : uses) {
      PlaceholderUse.Builder one =
          PlaceholderUse.newBuilder()
              .setPlaceholderSha256(
                  ByteString.copyFrom(
                      PlaceholderHash.of(Candidates.core(use.placeholder())).bytes()))
              .setTarget(use.target().toString())
              .setOccurrences(use.occurrences())
              .setAfterUnauthorized(unauthorised.contains(use.grant().id()));
      if (use.signs()) {
        toSign.ifPresent(one::setToSign);
      }
      request.addUses(one);
    }
    return request.build();
  }
}
