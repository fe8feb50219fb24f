package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.internal.v1.RequestToSign;
import dev.cofferdam.kit.http.RequestHead;
import java.util.List;
import java.util.Optional;

/** A request that the broker signs, as it will be sent: whatever the guest signed says nothing. */
sealed interface Signable permits SignedRequest, HmacRequest {
  /** As it will be sent, but for what is written anew on the way, which is not signed. */
  RequestHead head();

  RequestToSign toSign();

  /**
   * @param answer of the broker's; stays the caller's
   * @throws IllegalArgumentException for what is no signature
   */
  Signature read(SecretValue answer);

  /** Why one of these uses cannot be signed; empty where it can, or none is. */
  static Optional<String> unsupported(RequestHead head, List<Use> uses) {
    return SignedRequest.unsupported(head, uses).or(() -> HmacRequest.unsupported(head, uses));
  }

  /**
   * How long a body may be that has to be read to its end before it can be signed; empty where none
   * has to.
   *
   * @param rewritten what leaves may differ from what came
   */
  static Optional<Long> bodyLimit(RequestHead head, List<Use> uses, boolean rewritten) {
    return head.bodyLength() == 0
        ? Optional.empty()
        : SignedRequest.needsBody(head, uses, rewritten)
            ? Optional.of((long) TargetedBody.MAX_BYTES)
            : HmacRequest.bodyLimit(uses);
  }

  /** Empty where nothing is signed. */
  static Optional<Signable> of(
      RequestHead head, Host.Name name, List<Use> uses, IncomingBody body) {
    Optional<Use> signing = uses.stream().filter(Use::signs).findFirst();
    return signing.map(use ->
        use.signsByHmac()
            ? HmacRequest.of(head, name, use, body)
            : SignedRequest.of(head, name, body::sha256, body.mayRewrite()));
  }
}
