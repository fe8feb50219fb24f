package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.OutgoingRequest;
import dev.cofferdam.gateway.placeholder.Template;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.WebSocketHandshake;
import java.util.Map;
import java.util.Optional;

/** A guest's request as it goes to the upstream. */
final class UpstreamRequest {
  private UpstreamRequest() {}

  /**
   * @param head of the guest's
   * @param name that its authority was found to mean
   * @param length of the body, negative where it is not known
   */
  static OutgoingRequest of(
      RequestHead head,
      Host.Name name,
      long length,
      boolean tls,
      boolean http2,
      Optional<Secrets> secrets)
      throws Template.UnrepresentableException {
    Headers headers = head.headers().endToEnd();
    if (http2 && head.headers().lists("te", "trailers")) {
      headers = headers.with("te", "trailers");
    }
    if (WebSocketHandshake.asked(head)) {
      headers = WebSocketExchange.request(headers);
    }
    if (secrets.isPresent()) {
      boolean gzip = headers.lists("accept-encoding", "gzip");
      // Only what can be searched may come back.
      headers =
          Grpc.unpackedAnswers(headers)
              .without("accept-encoding")
              .with("accept-encoding", gzip ? "gzip, identity" : "identity");
      headers = secrets.get().prepared(headers);
    }
    Headers sent = headers;
    Optional<SecretValue> target =
        secrets.isPresent() ? secrets.get().seal(head.target()) : Optional.empty();
    return new OutgoingRequest(
        head.with(sent).withBodyLength(length).withAuthority(authority(head, name)),
        tls,
        target,
        secrets.map(values -> values.seal(sent.lines())).orElse(Map.of()),
        secrets.map(Secrets::scrubber));
  }

  /** In the one spelling that was judged, whatever the guest's was. */
  static String authority(RequestHead head, Host.Name name) {
    String text = head.authority();
    String port = text.substring(text.indexOf(':') + 1);
    return text.indexOf(':') < 0 || port.isEmpty()
        ? name.value()
        : name.value() + ":" + Integer.parseInt(port);
  }
}
