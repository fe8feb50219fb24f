package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.broker.Question;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.gateway.placeholder.Judgement;
import dev.cofferdam.gateway.placeholder.RequestTarget;
import dev.cofferdam.gateway.placeholder.Target;
import dev.cofferdam.gateway.placeholder.Template;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.EgressReason;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.EventLoop;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The values of one WebSocket: those of its handshake, and those that are put into its text
 * messages where a binding has the target {@code websocket-frame}. Each message with a placeholder
 * is asked for at the broker by itself, with the grants of that moment; how often one may stand is
 * counted over the whole connection. Used on its event loop.
 */
final class FrameSecrets implements AutoCloseable {
  /** Who is told what became of a message, once. */
  interface Listener {
    /**
     * @param message for the listener to release
     */
    void filled(ByteBuf message);

    void refused(WebSocketRelay.Refusal why);
  }

  private final Surroundings surroundings;
  private final GuestConnection connection;
  private final EventLoop loop;
  private final RequestHead head;
  private final String id;
  private final Host.Name host;
  private final Optional<Secrets> handshake;
  private final boolean targeted;
  private final List<Use> uses = new ArrayList<>();
  private final List<Secrets> given = new ArrayList<>();
  private Optional<Scrubber> scrubber;
  private boolean weak;
  private boolean closed;

  /**
   * @param handshake of the request that began it, which are taken over
   * @param head of that request, and {@code id} its id: of every use in it
   */
  FrameSecrets(
      Surroundings surroundings,
      GuestConnection connection,
      EventLoop loop,
      RequestHead head,
      String id,
      Host.Name host,
      Optional<Secrets> handshake) {
    this.surroundings = surroundings;
    this.connection = connection;
    this.loop = loop;
    this.head = head;
    this.id = id;
    this.host = host;
    this.handshake = handshake;
    this.targeted =
        connection.slot().attachment().judge().concerns(new Target.WebSocketFrame(), host);
    this.scrubber = handshake.map(Secrets::scrubber);
    this.weak = handshake.map(Secrets::weak).orElse(false);
  }

  /** Whether text messages may hold placeholders, so that each has to be read as a whole. */
  boolean targeted() {
    return targeted;
  }

  /** Whether messages of the upstream may hold a value, now or later. */
  boolean scrubs() {
    return targeted || handshake.isPresent();
  }

  /** What takes the values out of the upstream's messages; empty while there are none. */
  Optional<Scrubber> scrubber() {
    return scrubber;
  }

  /** Whether a value among them is weak, and a message with one has to be kept back. */
  boolean weak() {
    return weak;
  }

  /** Values that were taken out of answers, those of the handshake's included. */
  int replaced() {
    return replacedIn(handshake.map(Secrets::scrubber))
        + (given.isEmpty() ? 0 : replacedIn(scrubber));
  }

  private static int replacedIn(Optional<Scrubber> searched) {
    return searched.map(Scrubber::replaced).orElse(0);
  }

  /** The first that was put into a message. */
  Optional<Use> firstUse() {
    return uses.stream().findFirst();
  }

  /** For a placeholder that stands in a frame which no target is in. */
  WebSocketRelay.Refusal outside(Candidates.Found found) {
    Judgement.Refuse refused =
        connection
            .slot()
            .attachment()
            .judge()
            .outside(found.placeholder(), "websocket-frame", host);
    return refusal(refused);
  }

  private static WebSocketRelay.Refusal refusal(Judgement.Refuse why) {
    return new WebSocketRelay.Refusal(why.reason(), why.message(), why.secret());
  }

  /**
   * Asks for the values of a text message.
   *
   * @param message stays the caller's
   * @param found in it; at least one
   * @param allocator of what is to be sent
   */
  void fill(
      ByteBuf message,
      List<Candidates.Found> found,
      ByteBufAllocator allocator,
      Listener listener) {
    Attachment present = connection.slot().attachment();
    String text = message.toString(StandardCharsets.ISO_8859_1);
    switch (present.judge().judgeMessage(text, found, uses, host, connection.tls())) {
      case Judgement.Refuse why -> listener.refused(refusal(why));
      case Judgement.Proceed(List<Use> needed) -> {
        ask(present, needed, Template.ofMessage(text), allocator, listener);
      }
    }
  }

  private void ask(
      Attachment present,
      List<Use> needed,
      Template template,
      ByteBufAllocator allocator,
      Listener listener) {
    String secret = needed.getFirst().grant().secret();
    if (surroundings.lease().expired()) {
      listener.refused(
          new WebSocketRelay.Refusal(
              EgressReason.EGRESS_REASON_LEASE_EXPIRED, "the policy's lease has ended", secret));
      return;
    }
    Optional<Withheld> withheld = Withheld.at(surroundings, present);
    if (withheld.isPresent()) {
      listener.refused(
          new WebSocketRelay.Refusal(withheld.get().reason(), withheld.get().message(), secret));
      return;
    }
    Question question =
        new Question(
            present,
            id,
            host.value(),
            connection.port(),
            head.method(),
            RequestTarget.shownPath(head.path()),
            connection.tls(),
            needed,
            // Messages have no status.
            Set.of(),
            Optional.empty());
    // Before they are given: what the guest asks for at the same time counts too.
    uses.addAll(needed);
    Materialisation.Listener answer =
        new Materialisation.Listener() {
          @Override
          public void materialised(List<SecretValue> values) {
            take(needed, values, template, allocator, listener);
          }

          @Override
          public void notMaterialised(UpstreamException why) {
            listener.refused(
                new WebSocketRelay.Refusal(why.reason(), String.valueOf(why.getMessage()), secret));
          }
        };
    if (!Materialisation.begin(surroundings, connection.slot(), loop, question, answer)) {
      // Without the secret's name, as for a request.
      listener.refused(
          new WebSocketRelay.Refusal(
              EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE,
              "too many requests of this sandbox wait for their secrets",
              ""));
    }
  }

  private void take(
      List<Use> needed,
      List<SecretValue> values,
      Template template,
      ByteBufAllocator allocator,
      Listener listener) {
    if (closed) {
      values.forEach(SecretValue::close);
      return;
    }
    Secrets fresh = new Secrets(needed, values, Optional.empty());
    int before = given.isEmpty() ? 0 : replacedIn(scrubber);
    Optional<Scrubber> old = given.isEmpty() ? Optional.empty() : scrubber;
    given.add(fresh);
    weak |= fresh.weak();
    // Before the message leaves, so that no answer to it comes sooner.
    List<Scrubber.Secret> all = new ArrayList<>();
    handshake.ifPresent(secrets -> all.addAll(secrets.searched()));
    given.forEach(secrets -> all.addAll(secrets.searched()));
    scrubber = Optional.of(new Scrubber(all, before));
    old.ifPresent(Scrubber::close);
    ByteBuf filled;
    try {
      filled = fresh.fill(template, allocator);
    } catch (Template.UnrepresentableException e) {
      listener.refused(
          new WebSocketRelay.Refusal(
              EgressReason.EGRESS_REASON_VALUE_NOT_REPRESENTABLE,
              String.valueOf(e.getMessage()),
              needed.getFirst().grant().secret()));
      return;
    }
    listener.filled(filled);
  }

  @Override
  public void close() {
    closed = true;
    if (!given.isEmpty()) {
      scrubber.ifPresent(Scrubber::close);
    }
    scrubber = Optional.empty();
    given.forEach(Secrets::close);
    given.clear();
    handshake.ifPresent(Secrets::close);
  }
}
