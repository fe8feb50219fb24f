package dev.cofferdam.gateway.proxy;

import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;

/** What a refused {@code Materialize} means to the guest. */
final class MaterialiseFailures {
  private MaterialiseFailures() {}

  static UpstreamException of(Throwable thrown) {
    ErrorReason reason = Refusals.reason(thrown).orElse(ErrorReason.ERROR_REASON_UNSPECIFIED);
    return switch (reason) {
      case ERROR_REASON_GRANT_REVOKED,
          ERROR_REASON_SECRET_NOT_FOUND,
          ERROR_REASON_ATTACHMENT_NOT_FOUND ->
          new UpstreamException(EgressReason.EGRESS_REASON_GRANT_REVOKED, "the grant was revoked");
      case ERROR_REASON_GRANT_SUSPENDED ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_GRANT_SUSPENDED,
              "the grant is out of use while the node is away");
      case ERROR_REASON_BINDING_INVALID ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND,
              "the secret is no longer bound to this part of this request");
      case ERROR_REASON_LEARNING ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_LEARNING, "in mode LEARN no secret is used");
      case ERROR_REASON_SECRET_EXPIRED ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_SECRET_EXPIRED, "the time to use the secret is over");
      case ERROR_REASON_SIGNATURE_DATE ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_SIGNATURE_DATE,
              "the date to sign is more than 15 minutes off, by the broker's clock");
      case ERROR_REASON_CAP_EXCEEDED ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_CAP_EXCEEDED, "the secret was used too often");
      case ERROR_REASON_TOKEN_REFUSED ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_TOKEN_REFUSED,
              "no access token: the token endpoint refused the secret's credentials");
      case ERROR_REASON_TOKEN_UNAVAILABLE ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_TOKEN_UNAVAILABLE,
              "no access token: the token endpoint gave none");
      case ERROR_REASON_STORE_UNAVAILABLE ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_STORE_UNAVAILABLE, "the store of secrets is away");
      default ->
          new UpstreamException(
              EgressReason.EGRESS_REASON_BROKER_UNAVAILABLE, "the vault-broker is away");
    };
  }
}
