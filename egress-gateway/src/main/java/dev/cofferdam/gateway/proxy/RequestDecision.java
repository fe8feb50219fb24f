package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.Judgement;
import dev.cofferdam.gateway.placeholder.Presigned;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.RequestVerdict;
import dev.cofferdam.gateway.policy.Rule;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.kit.egress.RequestFacts;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.EgressReason;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Whether a request may go on, by its head alone. Pure. */
sealed interface RequestDecision {
  /** RFC 9110 section 14, and what some servers take for it: Apache's httpd, Azure's storage. */
  Set<String> SLICES = Set.of("range", "if-range", "request-range", "x-ms-range");

  /**
   * @param head to send on
   * @param facts by which it was judged, and may be again
   */
  record Go(Host.Name host, List<Use> uses, RequestHead head, RequestFacts facts, Rule rule)
      implements RequestDecision {}

  record Stop(EgressReason reason, String message, String secret, String target)
      implements RequestDecision {}

  /**
   * @param serverName in SNI, where TLS was terminated
   * @param addressName of the synthetic address that was connected to
   */
  static RequestDecision decide(
      Attachment attachment,
      RequestHead head,
      int port,
      boolean tls,
      Optional<Host.Name> serverName,
      Optional<Host.Name> addressName) {
    String authority = head.authority();
    int colon = authority.startsWith("[") ? authority.indexOf("]:") + 1 : authority.indexOf(':');
    String hostText = colon > 0 ? authority.substring(0, colon) : authority;
    String portText = colon > 0 ? authority.substring(colon + 1) : "";
    Optional<Host> host = Host.parse(hostText);
    if (host.isEmpty() || !isPort(portText)) {
      return stop(EgressReason.EGRESS_REASON_MALFORMED_REQUEST, "Host is no host");
    }
    int standard = tls ? 443 : 80;
    int named = portText.isEmpty() ? standard : Integer.parseInt(portText);
    // A client that was told of another port by other means may leave it out.
    if (named != port && !portText.isEmpty()) {
      return stop(
          EgressReason.EGRESS_REASON_HOST_MISMATCH,
          "Host names port %d, the connection is to port %d".formatted(named, port));
    }
    if (!(host.get() instanceof Host.Name name)) {
      return stop(
          EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED,
          "Host is the address " + host.get() + ", expected a name");
    }
    Optional<Host.Name> expected = tls ? serverName : addressName;
    if (expected.isPresent() && !expected.get().equals(name)) {
      return stop(
          EgressReason.EGRESS_REASON_HOST_MISMATCH,
          "Host names %s, the connection is to %s".formatted(name, expected.get()));
    }
    RequestFacts facts = facts(head, name);
    return switch (attachment.policy().judge(facts, name, port)) {
      case RequestVerdict.Denied(EgressReason reason, String why) -> stop(reason, why);
      case RequestVerdict.Let(Rule rule) -> {
        RequestHead left = rule.terms().downgrade() ? Downgrade.of(head) : Presigned.unfolded(head);
        yield secrets(attachment, left, name, tls, facts, rule);
      }
    };
  }

  /** Up to five digits, or none. */
  private static boolean isPort(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return false;
      }
    }
    return text.length() <= 5;
  }

  private static RequestFacts facts(RequestHead head, Host.Name host) {
    return new RequestFacts(
        head.method(),
        host.value(),
        head.target(),
        () ->
            head.headers().endToEnd().lines().stream()
                .map(line -> new RequestFacts.Line(line.name(), line.value()))
                .toList(),
        head.bodyLength());
  }

  private static RequestDecision secrets(
      Attachment attachment,
      RequestHead head,
      Host.Name name,
      boolean tls,
      RequestFacts facts,
      Rule rule) {
    return switch (attachment.judge().judge(head, name, tls)) {
      case Judgement.Refuse refuse ->
          new Stop(refuse.reason(), refuse.message(), refuse.secret(), refuse.target().toString());
      case Judgement.Proceed(List<Use> uses) ->
          sliced(head, uses)
              .or(() -> unsigned(head, uses))
              .<RequestDecision>map(stop -> stop)
              .orElseGet(() -> new Go(name, uses, head, facts, rule));
    };
  }

  /** A request that has to be signed and cannot be. */
  static Optional<Stop> unsigned(RequestHead head, List<Use> uses) {
    return Signable.unsupported(head, uses)
        .map(why ->
            new Stop(
                EgressReason.EGRESS_REASON_SIGNATURE_UNSUPPORTED,
                why,
                signing(uses).grant().secret(),
                signing(uses).target().toString()));
  }

  private static Use signing(List<Use> uses) {
    return uses.stream().filter(Use::signs).findFirst().orElseThrow();
  }

  /**
   * What a request with values in it must not ask for. The key that signs one is not in it, and its
   * slices show at most what is worth nothing without the key.
   */
  static Optional<Stop> sliced(RequestHead head, List<Use> uses) {
    return !uses.stream().allMatch(Use::signs) && SLICES.stream().anyMatch(head.headers()::has)
        ? Optional.of(
            stop(
                EgressReason.EGRESS_REASON_RANGE_WITH_SECRET,
                "slices of an answer cannot be searched for the secret"))
        : Optional.empty();
  }

  private static Stop stop(EgressReason reason, String message) {
    return new Stop(reason, message, "", "");
  }
}
