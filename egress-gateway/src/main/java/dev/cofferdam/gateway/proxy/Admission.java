package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.DataRules;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.RequestVerdict;
import dev.cofferdam.gateway.policy.Rule;
import dev.cofferdam.gateway.policy.Terms;
import dev.cofferdam.gateway.slot.Allowance;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.gateway.slot.Tally;
import dev.cofferdam.kit.egress.RequestFacts;
import dev.cofferdam.v1.EgressReason;
import io.netty.channel.EventLoop;
import org.jspecify.annotations.Nullable;

/**
 * What the rule that let a request through holds it to while it is under way: the limit of its
 * size, the caps, and the policy as it changes. Used on the event loop of the exchange.
 */
final class Admission implements AutoCloseable {
  /** Who is told that the request may not go on. */
  @FunctionalInterface
  interface Refusing {
    void refuse(EgressReason reason, String message);
  }

  private final Rule rule;
  private final Host.Name host;
  private final Tally sockets;
  private final Allowance.Taken taken;
  private final Refusing exchange;
  private final Slot slot;

  /** By which its head and body are searched. */
  private final DataRules data;

  private boolean sentAll;
  private @Nullable OpenRequest open;
  private boolean webSocket;
  private boolean counted;
  private long sent;

  private Admission(
      Rule rule,
      Host.Name host,
      Tally sockets,
      Allowance.Taken taken,
      Refusing exchange,
      Slot slot,
      DataRules data) {
    this.slot = slot;
    this.data = data;
    this.rule = rule;
    this.host = host;
    this.sockets = sockets;
    this.taken = taken;
    this.exchange = exchange;
  }

  /**
   * @param judged by what it was let through
   */
  static Admission under(
      Rule rule,
      RequestFacts facts,
      Attachment judged,
      GuestConnection connection,
      EventLoop loop,
      Host.Name host,
      Refusing exchange) {
    Allowance.Taken taken = connection.slot().allow(rule, System.nanoTime());
    Admission admission =
        new Admission(
            rule,
            host,
            connection.slot().webSockets(),
            taken,
            exchange,
            connection.slot(),
            judged.policy().data());
    admission.open =
        OpenRequest.under(
            judged, connection.slot(), loop, facts, host, connection.port(), admission::judgedAnew);
    return admission;
  }

  private void judgedAnew(RequestVerdict verdict) {
    switch (verdict) {
      case RequestVerdict.Denied(EgressReason reason, String why) -> exchange.refuse(reason, why);
      case RequestVerdict.Let(Rule present) -> {
        if (present.terms().approve() && !rule.terms().approve()) {
          exchange.refuse(
              EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED,
              "rule %d of the policy lets such a request begin with an approval alone"
                  .formatted(present.terms().number()));
        } else if (!sentAll && !slot.attachment().policy().data().sameAt(host, data)) {
          exchange.refuse(
              EgressReason.EGRESS_REASON_DATA_NOT_ALLOWED,
              "the policy's data rules for %s changed before the request was sent".formatted(host));
        } else {
          checkSocket(present);
        }
      }
    }
  }

  /** A WebSocket is one request in which any number of messages follow. */
  private boolean checkSocket(Rule present) {
    Terms terms = present.terms();
    if (webSocket
        && (terms.request().isPresent()
            || terms.maxRequestBytes() > 0
            || terms.downgrade()
            || terms.approve())) {
      exchange.refuse(
          EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED,
          "rule %d of the policy is on single requests, which those in a WebSocket are not"
              .formatted(terms.number()));
      return false;
    }
    if (webSocket && slot.attachment().policy().data().covers(host)) {
      exchange.refuse(
          EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED,
          "data rules of the policy cover %s, and messages in a WebSocket are not searched"
              .formatted(host));
      return false;
    }
    return true;
  }

  /** Nothing of it is searched any more. */
  void sentAll() {
    sentAll = true;
  }

  /** Whether it may leave only with somebody's word. */
  boolean needsApproval() {
    return rule.terms().approve();
  }

  /** Whether no rule let it through, but mode LEARN. */
  boolean learned() {
    return rule.learned();
  }

  /** Whether it goes without credentials. */
  boolean downgrades() {
    return rule.terms().downgrade();
  }

  /**
   * Whether it may begin; else it was refused.
   *
   * @param bodyLength negative where it is not known
   * @param asksForSocket it asks to become a WebSocket
   * @param mostSockets so many of them a sandbox may have, over whatever connections
   */
  boolean begins(long bodyLength, boolean asksForSocket, int mostSockets) {
    webSocket = asksForSocket;
    if (!checkSocket(rule)) {
      return false;
    }
    counted = webSocket && sockets.tryAdd(mostSockets);
    if (webSocket && !counted) {
      exchange.refuse(
          EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE, "this sandbox has too many WebSockets");
      return false;
    }
    if (taken.allowance().isEmpty()) {
      exchange.refuse(EgressReason.EGRESS_REASON_CAP_EXCEEDED, taken.why());
      return false;
    }
    return fits(bodyLength);
  }

  /** Whether so much more of its body may leave; else it was refused. */
  boolean sends(int bytes) {
    sent += bytes;
    return fits(sent) && counts(bytes);
  }

  /** Whether so much more of its answer may come back; else it was refused. */
  boolean receives(int bytes) {
    return counts(bytes);
  }

  private boolean fits(long length) {
    long most = rule.terms().maxRequestBytes();
    if (most > 0 && length > most) {
      exchange.refuse(
          EgressReason.EGRESS_REASON_BODY_TOO_LARGE,
          "the policy lets requests to %s have %d bytes".formatted(host, most));
      return false;
    }
    return true;
  }

  /** Whether so many bytes more are within the caps; they are counted. */
  boolean counted(int bytes) {
    return taken.allowance().isEmpty() || taken.allowance().get().add(bytes);
  }

  private boolean counts(int bytes) {
    if (!counted(bytes)) {
      exchange.refuse(EgressReason.EGRESS_REASON_CAP_EXCEEDED, "a cap on bytes is reached");
      return false;
    }
    return true;
  }

  @Override
  public void close() {
    if (open != null) {
      open.close();
    }
    taken.allowance().ifPresent(Allowance::close);
    if (counted) {
      sockets.remove();
    }
  }
}
