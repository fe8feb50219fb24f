package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Tally;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.ResponseHead;
import dev.cofferdam.kit.http.WebSocketHandshake;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.channel.Channel;
import io.netty.handler.codec.http2.Http2StreamChannel;
import java.util.List;
import java.util.Optional;

/**
 * What an exchange is from the 101 of a WebSocket on: held to the same rule, until either side ends
 * it, and then told as one event. Used on the event loop of the guest's connection.
 */
final class WebSocketExchange {
  private static final String EXTENSIONS = "sec-websocket-extensions";

  private final Surroundings surroundings;
  private final Channel guest;
  private final ExchangeRecord record;
  private final Admission admission;
  private final Host.Name host;
  private final List<Use> uses;
  private final FrameSecrets secrets;
  private final Tally unended;

  /** Why it may not go on. */
  private Optional<WebSocketRelay.Refusal> forbidden = Optional.empty();

  /**
   * @param admission and {@code secrets} of the request, which are taken over
   * @param uses of the request
   * @param unended bytes that the sandbox's WebSockets hold of frames
   */
  WebSocketExchange(
      Surroundings surroundings,
      Channel guest,
      ExchangeRecord record,
      Admission admission,
      Host.Name host,
      List<Use> uses,
      FrameSecrets secrets,
      Tally unended) {
    this.surroundings = surroundings;
    this.guest = guest;
    this.record = record;
    this.admission = admission;
    this.host = host;
    this.uses = uses;
    this.secrets = secrets;
    this.unended = unended;
  }

  /**
   * What of a guest's request goes to the upstream. Of extensions none does: frames that are packed
   * could not be searched.
   *
   * @param endToEnd its headers
   */
  static Headers request(Headers endToEnd) {
    return WebSocketHandshake.request(endToEnd.without(EXTENSIONS));
  }

  /** What is wrong with an answer of 101 to such a request; empty where it is right. */
  static Optional<String> wrong(RequestHead asked, ResponseHead answer) {
    return WebSocketHandshake.wrong(asked.with(asked.headers().without(EXTENSIONS)), answer);
  }

  /** In HTTP/2 each 2xx would tell the guest that frames follow, which nobody would search. */
  static boolean misleads(RequestHead asked, ResponseHead answer, Channel guest) {
    return WebSocketHandshake.asked(asked)
        && guest instanceof Http2StreamChannel
        && answer.status() >= 200
        && answer.status() < 300;
  }

  /**
   * @param answer the upstream's, a right one
   */
  void begin(ResponseHead answer, UpstreamStream upstream) {
    guest.writeAndFlush(
        WebSocketHandshake.answer(
            answer.headers().endToEnd().without("alt-svc", "cofferdam-reason")));
    WebSocketRelay.join(guest, upstream.leave(), secrets, unended, admission::counted, this::ended);
  }

  /** The policy's word, at any time. */
  void forbid(EgressReason reason, String message) {
    forbidden = Optional.of(new WebSocketRelay.Refusal(reason, message, ""));
    guest.close();
  }

  private void ended(WebSocketRelay.Outcome outcome) {
    admission.close();
    Optional<WebSocketRelay.Refusal> refusal = outcome.refusal().or(() -> forbidden);
    EgressReason reason =
        refusal.map(WebSocketRelay.Refusal::reason).orElse(EgressReason.EGRESS_REASON_UNSPECIFIED);
    Verdict verdict = refusal.isPresent() ? Verdict.VERDICT_DENIED : Verdict.VERDICT_ALLOWED;
    Optional<Use> used = uses.stream().findFirst().or(secrets::firstUse);
    record.tell(
        record
            .event(verdict, reason, Optional.of(host))
            .setSecret(
                refusal
                    .map(WebSocketRelay.Refusal::secret)
                    .or(() -> used.map(use -> use.grant().secret()))
                    .orElse(""))
            .setTarget(used.map(use -> use.target().toString()).orElse(""))
            .setStatus(101)
            .setLearned(admission.learned())
            .setBytesOut(outcome.out())
            .setBytesIn(outcome.in())
            .setMessage(refusal.map(WebSocketRelay.Refusal::message).orElse("")));
    surroundings.exchanges().scrubbed(secrets.replaced());
    secrets.close();
  }
}
