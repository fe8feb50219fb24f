package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.event.Reasons;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.ResponseHead;
import dev.cofferdam.v1.EgressReason;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelOutboundInvoker;
import java.nio.charset.StandardCharsets;

/** What the gateway itself says to a guest. */
final class Answers {
  private Answers() {}

  /** The head and body of a refusal. */
  record Refusal(ResponseHead head, ByteBuf body) {
    void writeTo(ChannelOutboundInvoker guest) {
      guest.write(head);
      guest.write(body);
      guest.writeAndFlush(End.plain());
    }
  }

  static Refusal refusal(EgressReason reason, String message, String request) {
    String code = Reasons.text(reason);
    byte[] body =
        "{\"reason\": \"%s\", \"message\": \"%s\", \"request\": \"%s\"}\n"
            .formatted(code, escaped(message), request)
            .getBytes(StandardCharsets.UTF_8);
    return new Refusal(
        new ResponseHead(
            status(reason),
            Headers.of(
                "content-type", "application/json",
                "cache-control", "no-store",
                "cofferdam-reason", code),
            body.length),
        Unpooled.wrappedBuffer(body));
  }

  static int status(EgressReason reason) {
    return switch (reason) {
      case EGRESS_REASON_MALFORMED_REQUEST, EGRESS_REASON_REQUEST_AMBIGUOUS -> 400;
      case EGRESS_REASON_PROXY_AUTHENTICATION -> 407;
      case EGRESS_REASON_BODY_TOO_LARGE -> 413;
      case EGRESS_REASON_CONTENT_ENCODING -> 415;
      case EGRESS_REASON_HOST_MISMATCH -> 421;
      case EGRESS_REASON_CAP_EXCEEDED,
          EGRESS_REASON_TOO_MANY_AT_ONCE,
          EGRESS_REASON_TOO_MANY_WAITING ->
          429;
      case EGRESS_REASON_HEADERS_TOO_LARGE -> 431;
      case EGRESS_REASON_INTERNAL -> 500;
      case EGRESS_REASON_NAME_NOT_RESOLVED,
          EGRESS_REASON_UPSTREAM_CERTIFICATE,
          EGRESS_REASON_UPSTREAM_UNREACHABLE,
          EGRESS_REASON_UPSTREAM_PROXY,
          EGRESS_REASON_TOKEN_REFUSED,
          EGRESS_REASON_TOKEN_UNAVAILABLE,
          EGRESS_REASON_WEAK_VALUE_IN_ANSWER ->
          502;
      case EGRESS_REASON_NO_POLICY,
          EGRESS_REASON_LEASE_EXPIRED,
          EGRESS_REASON_BROKER_UNAVAILABLE,
          EGRESS_REASON_STORE_UNAVAILABLE,
          EGRESS_REASON_GRANT_SUSPENDED,
          EGRESS_REASON_SPOOL_FULL ->
          503;
      case EGRESS_REASON_UPSTREAM_TIMEOUT -> 504;
      case EGRESS_REASON_UNSPECIFIED,
          EGRESS_REASON_HOST_NOT_ALLOWED,
          EGRESS_REASON_PORT_NOT_ALLOWED,
          EGRESS_REASON_ADDRESS_NOT_ALLOWED,
          EGRESS_REASON_NAME_NOT_ALLOWED,
          EGRESS_REASON_SNI_MISSING,
          EGRESS_REASON_PROTOCOL_NOT_ALLOWED,
          EGRESS_REASON_UNKNOWN_SLOT,
          EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET,
          EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND,
          EGRESS_REASON_PLACEHOLDER_FOREIGN,
          EGRESS_REASON_PLACEHOLDER_TOO_OFTEN,
          EGRESS_REASON_PLACEHOLDER_CLEARTEXT,
          EGRESS_REASON_VALUE_NOT_REPRESENTABLE,
          EGRESS_REASON_OWN_CREDENTIAL,
          EGRESS_REASON_GRANT_REVOKED,
          EGRESS_REASON_PRIVATE_ADDRESS,
          EGRESS_REASON_RANGE_WITH_SECRET,
          EGRESS_REASON_PACKET_DROPPED,
          EGRESS_REASON_TLS_HANDSHAKE,
          EGRESS_REASON_REQUEST_NOT_ALLOWED,
          EGRESS_REASON_SECRET_EXPIRED,
          EGRESS_REASON_LEARNING,
          EGRESS_REASON_TOO_MANY_NAMES,
          EGRESS_REASON_APPROVAL_DENIED,
          EGRESS_REASON_APPROVAL_TIMEOUT,
          EGRESS_REASON_SIGNATURE_UNSUPPORTED,
          EGRESS_REASON_SIGNATURE_DATE,
          EGRESS_REASON_DATA_NOT_ALLOWED,
          UNRECOGNIZED ->
          403;
    };
  }

  private static String escaped(String text) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < 0x20 || c > 0x7e) {
        out.append('?');
      } else {
        out.append(c);
      }
    }
    return out.toString();
  }
}
