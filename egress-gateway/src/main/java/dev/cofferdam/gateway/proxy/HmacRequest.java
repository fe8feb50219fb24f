package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.Hmac;
import dev.cofferdam.gateway.placeholder.RequestTarget;
import dev.cofferdam.gateway.placeholder.Target;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.internal.v1.HeaderToSign;
import dev.cofferdam.internal.v1.RequestToSign;
import dev.cofferdam.kit.egress.SigningTemplate.Variable;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A request that the broker signs by HMAC.
 *
 * @param header in which the placeholder stands; empty where it does in the query
 * @param timestampHeader empty for none
 */
record HmacRequest(
    RequestHead head,
    RequestToSign toSign,
    String header,
    String placeholder,
    String timestampHeader)
    implements Signable {
  /** What a message to the broker has room for beside the rest of the request. */
  private static final long MAX_SIGNED = 768 << 10;

  private static Optional<Hmac> by(Use use) {
    return use.grant().hmac(use.target());
  }

  static Optional<String> unsupported(RequestHead head, List<Use> uses) {
    List<Use> signing = uses.stream().filter(Use::signsByHmac).toList();
    if (signing.isEmpty()) {
      return Optional.empty();
    }
    Optional<Hmac> by = by(signing.getFirst());
    if (signing.size() > 1 || by.isEmpty()) {
      return Optional.of("a request is signed once");
    }
    Headers left = head.headers().endToEnd();
    for (String name : by.get().message().headers()) {
      if (left.all(name).size() != 1) {
        return Optional.of("a request of which %s is signed has it once".formatted(name));
      }
    }
    for (Use other : uses) {
      if (!other.signs() && !beside(other.target(), by.get())) {
        return Optional.of(
            "a placeholder in %s, beside a signature there are some only in headers that are not signed"
                .formatted(other.target().kind()));
      }
    }
    return Optional.empty();
  }

  /** A part that is neither signed nor written with the signature. */
  private static boolean beside(Target part, Hmac by) {
    String header =
        switch (part) {
          case Target.Header(String name) -> name;
          case Target.BasicUsername _, Target.BasicPassword _ -> "authorization";
          default -> "";
        };
    return !header.isEmpty()
        && !by.message().headers().contains(header)
        && !by.timestampHeader().equals(header);
  }

  static Optional<Long> bodyLimit(List<Use> uses) {
    return uses.stream()
        .flatMap(use -> by(use).stream())
        .findFirst()
        .flatMap(by ->
            by.message().has(Variable.BODY)
                ? Optional.of(MAX_SIGNED)
                : by.message().has(Variable.BODY_SHA256)
                    ? Optional.of((long) TargetedBody.MAX_BYTES)
                    : Optional.empty());
  }

  static HmacRequest of(RequestHead head, Host.Name name, Use use, IncomingBody body) {
    Hmac by = by(use).orElseThrow();
    RequestToSign.Builder toSign =
        RequestToSign.newBuilder()
            .setTarget(
                use.target() instanceof Target.HmacQuery(String parameter)
                    ? RequestTarget.without(head.target(), parameter)
                    : head.target())
            .addHeaders(line("host", UpstreamRequest.authority(head, name)));
    for (Header line : head.headers().endToEnd().lines()) {
      String lower = line.name().toLowerCase(Locale.ROOT);
      if (by.message().headers().contains(lower)) {
        toSign.addHeaders(line(lower, line.value()));
      }
    }
    if (by.message().has(Variable.BODY)) {
      toSign.setBody(body.content());
    }
    if (by.message().has(Variable.BODY_SHA256)) {
      toSign.setPayloadSha256(body.sha256());
    }
    Headers kept =
        by.timestampHeader().isEmpty()
            ? head.headers()
            : head.headers().without(by.timestampHeader());
    String header = use.target() instanceof Target.Hmac(String named) ? named : "";
    return new HmacRequest(
        head.with(kept), toSign.build(), header, use.placeholder(), by.timestampHeader());
  }

  private static HeaderToSign line(String name, String value) {
    return HeaderToSign.newBuilder().setName(name).setValue(value).build();
  }

  @Override
  public Signature read(SecretValue answer) {
    return new HmacSignature(this, answer);
  }
}
