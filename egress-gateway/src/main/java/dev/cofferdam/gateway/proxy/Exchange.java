package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.broker.Question;
import dev.cofferdam.gateway.data.DataGuard;
import dev.cofferdam.gateway.data.Refusal;
import dev.cofferdam.gateway.http.OutgoingRequest;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.placeholder.Judgement;
import dev.cofferdam.gateway.placeholder.RequestTarget;
import dev.cofferdam.gateway.placeholder.Template;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.ResponseHead;
import dev.cofferdam.kit.http.WebSocketHandshake;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.util.concurrent.Future;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One request and its answer: judged, searched, given its secrets, sent, and its answer brought
 * back clean. Everything happens on the event loop of the guest's connection.
 */
final class Exchange
    implements UpstreamStream.Listener,
        IncomingBody.Listener,
        Materialisation.Listener,
        Approval.Listener {
  private static final Set<String> REPEATABLE =
      Set.of("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE");

  /** What waits for a slow upstream before the guest is no longer read, at least. */
  private static final int MAX_WAITING = 256 << 10;

  private static final int UNAUTHORISED = 401;

  private final Surroundings surroundings;
  private final GuestConnection connection;
  private final Channel guest;
  private RequestHead head;
  private final String id;
  private final Runnable over;
  private final Attachment attachment;
  private final IncomingBody body;
  private final ExchangeRecord record;
  private final Deadline deadline;

  private Host.@Nullable Name host;
  private List<Use> uses = List.of();
  private Optional<TargetedBody> targeted = Optional.empty();

  /** What the broker is to sign; the body may have to be kept for it. */
  private Optional<Signable> signed = Optional.empty();

  private boolean keptToSign;
  private boolean opening;

  /** The broker was asked, which it is once for an exchange, however often that is tried. */
  private boolean asked;

  private boolean sent;
  private boolean endWritten;

  /** Nanoseconds of this request that were the gateway's own so far. */
  private long own;

  /** Since when it is the gateway, or the broker, that the upstream waits for. */
  private long connected;

  private boolean retried;
  private boolean finished;
  private @Nullable UpstreamStream upstream;
  private @Nullable Secrets secrets;
  private @Nullable Answering answering;
  private @Nullable Admission admission;
  private @Nullable Approval approval;

  /** What it became. */
  private @Nullable WebSocketExchange socket;

  /**
   * @param over told once, after the last part of the answer was written
   */
  Exchange(
      Surroundings surroundings,
      GuestConnection connection,
      Channel guest,
      RequestHead head,
      String id,
      Runnable over) {
    this.surroundings = surroundings;
    this.connection = connection;
    this.guest = guest;
    this.head = head;
    this.id = id;
    this.over = over;
    this.attachment = connection.slot().attachment();
    // Never less than has to be seen before the upstream is called, or that would not happen.
    int waiting = Math.max(MAX_WAITING, surroundings.limits().bodyScanBytes());
    this.record = new ExchangeRecord(surroundings, connection, head, id, attachment.tenant());
    this.body = new IncomingBody(head.headers(), guest, waiting, this);
    this.deadline = new Deadline(guest.eventLoop());
  }

  void begin() {
    long began = System.nanoTime();
    judge();
    own = System.nanoTime() - began;
  }

  private void judge() {
    if (surroundings.lease().expired()) {
      refuse(EgressReason.EGRESS_REASON_LEASE_EXPIRED, "the policy's lease has ended");
      return;
    }
    RequestDecision decision =
        RequestDecision.decide(
            attachment,
            head,
            connection.port(),
            connection.tls(),
            connection.serverName(),
            connection.syntheticName());
    switch (decision) {
      case RequestDecision.Stop(var reason, var message, var secret, var target) ->
          refuse(reason, message, secret, target);
      case RequestDecision.Go(var name, var needed, var left, var facts, var rule) -> {
        host = name;
        head = left;
        uses = needed;
        Admission admitted =
            Admission.under(
                rule, facts, attachment, connection, guest.eventLoop(), name, this::forbid);
        admission = admitted;
        if (!admitted.begins(
            head.bodyLength(),
            WebSocketHandshake.asked(head),
            surroundings.limits().connectionsPerSandbox())) {
          return;
        }
        if (!letsDataOut(name)) {
          return;
        }
        if (needed.isEmpty() || givesSecrets(needed)) {
          lookAtBody(name);
        }
      }
    }
  }

  /** By the policy's rules on what stands in requests; else it was refused. */
  private boolean letsDataOut(Host.Name name) {
    Optional<DataGuard> guard = DataGuard.of(attachment.policy().data(), name, head);
    if (guard.isEmpty()) {
      return true;
    }
    record.watch(guard.get());
    Optional<Refusal> refused = guard.get().judgeHead();
    refused.ifPresent(this::unwanted);
    boolean readable = RequestBody.readable(head.headers()) && !SignedRequest.inPieces(head);
    if (refused.isEmpty() && !readable) {
      refuse(
          EgressReason.EGRESS_REASON_CONTENT_ENCODING,
          "a body in this coding cannot be searched by the policy's data rules");
      return false;
    }
    body.search(guard.get().body(!RequestBody.packed(head.headers()), Grpc.is(head.headers())));
    return refused.isEmpty();
  }

  private void lookAtBody(Host.Name name) {
    Optional<TargetedBody> wanted =
        TargetedBody.of(attachment, head, name, connection.tls(), surroundings.random());
    boolean readable =
        RequestBody.readable(head.headers())
            || wanted.map(TargetedBody::readable).orElse(false)
            || SignedRequest.chunked(head, uses);
    if (!attachment.grants().isEmpty() && !readable) {
      refuse(
          EgressReason.EGRESS_REASON_CONTENT_ENCODING,
          "a body in this Content-Encoding cannot be searched for placeholders");
      return;
    }
    Optional<Long> toSign = Signable.bodyLimit(head, uses, body.mayRewrite());
    if (wanted.isPresent() || toSign.isPresent()) {
      if (!connection.slot().keptBodies().tryAdd(TargetedBody.MAX_AT_ONCE)) {
        refuse(
            EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE,
            "too many bodies of this sandbox are kept until they have ended");
        return;
      }
      // From here on it is counted, and in the end no longer.
      targeted = wanted;
      keptToSign = toSign.isPresent();
      long most = toSign.orElse((long) TargetedBody.MAX_BYTES);
      body.keep(most);
      if (head.bodyLength() > most) {
        refuse(
            EgressReason.EGRESS_REASON_BODY_TOO_LARGE,
            "a body in which a secret may stand, or that is signed, has at most %d bytes"
                .formatted(most));
        return;
      }
    }
    await();
  }

  private void await() {
    if (head.expectsContinue() && head.bodyLength() != 0) {
      guest.writeAndFlush(new ResponseHead(100, Headers.none(), 0));
    }
    if (Grpc.is(head.headers()) && targeted.isEmpty() && !keptToSign) {
      // Either side may wait for the other's next message, the server before the guest's first.
      open();
    }
    progress();
  }

  /**
   * Something moved: whoever has to move next has so long again. For the guest, while it is read
   * and nothing answered yet, that is the idle timeout; for the upstream the answer timeout, to
   * begin its answer, to go on with it, or to take more of a request. A guest that takes its answer
   * slowly or not at all has all the time, and costs only a connection of its own.
   */
  private void progress() {
    Answering answer = answering;
    if (finished) {
      return;
    }
    if ((answer != null && answer.waitsForGuest()) || (approval != null && approval.waits())) {
      deadline.cancel();
    } else if (answer == null && !body.ended() && !body.full()) {
      deadline.within(surroundings.limits().idleTimeout().toMillis(), this::stalled);
    } else {
      String why =
          answer != null
              ? "the answer stalled"
              : body.ended()
                  ? "no answer came in time"
                  : "the upstream took no more of the request";
      deadline.within(
          surroundings.limits().answerTimeout().toMillis(),
          () -> refuse(EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT, why));
    }
  }

  private void stalled() {
    finish(
        Verdict.VERDICT_DENIED,
        EgressReason.EGRESS_REASON_MALFORMED_REQUEST,
        408,
        "the request stalled");
    guest.close();
  }

  void body(ByteBuf part) {
    if (finished) {
      part.release();
    } else if (admission != null && !admission.sends(part.readableBytes())) {
      part.release();
    } else {
      body.add(part);
    }
  }

  void bodyEnds(End end) {
    if (!finished) {
      body.end(end);
    }
  }

  @Override
  public void searching() {
    progress();
  }

  @Override
  public void searched() {
    if (sent) {
      pass();
    } else if (targeted.isPresent()) {
      judgeBody(targeted.get());
    } else if (keptToSign) {
      if (body.ended() && body.found().isEmpty()) {
        open();
      } else if (body.ended()) {
        found(body.found().getFirst(), "body");
      }
    } else if (body.ended() || body.waitingBytes() > surroundings.limits().bodyScanBytes()) {
      open();
    }
    if (!finished) {
      body.throttle();
      progress();
    }
  }

  @Override
  public void found(Candidates.Found placeholder, String part) {
    refuse(attachment.judge().outside(placeholder.placeholder(), part, name()));
  }

  @Override
  public void unreadable(RequestBody.UnreadableException why) {
    refuse(
        why.tooLarge()
            ? EgressReason.EGRESS_REASON_BODY_TOO_LARGE
            : EgressReason.EGRESS_REASON_CONTENT_ENCODING,
        String.valueOf(why.getMessage()));
  }

  @Override
  public void unwanted(Refusal why) {
    refuse(EgressReason.EGRESS_REASON_DATA_NOT_ALLOWED, why.message());
  }

  private void judgeBody(TargetedBody kept) {
    if (!body.ended() || opening) {
      return;
    }
    Judge.OfBody judged;
    ByteBuf whole = body.whole();
    try {
      judged = kept.judge(whole, body.found(), uses.size());
    } catch (RequestBody.UnreadableException e) {
      unreadable(e);
      return;
    } finally {
      whole.release();
    }
    switch (judged) {
      case Judge.OfBody.Refused(Judgement.Refuse why) -> refuse(why);
      case Judge.OfBody.Untouched() -> open();
      case Judge.OfBody.Filled(List<Use> more, _) -> {
        List<Use> all = Stream.concat(uses.stream(), more.stream()).toList();
        Optional<RequestDecision.Stop> sliced =
            RequestDecision.sliced(head, more).or(() -> RequestDecision.unsigned(head, all));
        if (sliced.isPresent()) {
          refuse(sliced.get().reason(), sliced.get().message());
        } else if (givesSecrets(more)) {
          uses = all;
          open();
        }
      }
    }
  }

  private Host.Name name() {
    Host.Name judged = host;
    if (judged == null) {
      throw new IllegalStateException("a request that was not let through has a body");
    }
    return judged;
  }

  private void open() {
    if (opening) {
      return;
    }
    opening = true;
    // Asked for last: a person is not bothered with what would be refused anyway.
    if (approval == null && admission != null && admission.needsApproval()) {
      approval =
          Approval.ask(
              surroundings,
              guest.eventLoop(),
              attachment,
              id,
              head,
              record.askedPath(RequestTarget.shownPath(head.path())),
              name(),
              connection.port(),
              connection.tls(),
              uses,
              this);
    } else {
      connect();
    }
  }

  @Override
  public void approved() {
    if (!finished) {
      connect();
      progress();
    }
  }

  @Override
  public void notApproved(EgressReason reason, String message) {
    refuse(reason, message);
  }

  private void connect() {
    surroundings
        .upstreams()
        .of(guest.eventLoop())
        .open(
            connection.slot(),
            name(),
            connection.port(),
            connection.tls(),
            connection.http2(),
            WebSocketHandshake.asked(head)
                ? Upstreams.Kind.UPGRADE
                : retried ? Upstreams.Kind.FRESH : Upstreams.Kind.ANY)
        .addListener((Future<UpstreamStream> opened) -> {
          if (!opened.isSuccess()) {
            refuse(opened.cause());
          } else if (finished) {
            opened.getNow().abort();
          } else {
            opened(opened.getNow());
          }
        });
  }

  private void opened(UpstreamStream stream) {
    upstream = stream;
    stream.listen(this);
    if (upstream != stream) {
      return;
    }
    connected = System.nanoTime();
    if (uses.isEmpty() || secrets != null) {
      send();
    } else if (!asked) {
      asked = true;
      materialise();
    }
  }

  private void refuse(Throwable why) {
    if (why instanceof UpstreamException e) {
      refuse(e.reason(), String.valueOf(e.getMessage()));
    } else {
      refuse(EgressReason.EGRESS_REASON_INTERNAL, "the gateway failed: " + why.getClass());
    }
  }

  /** Not before there is a connection to use the values on. */
  private void materialise() {
    if (downgraded()) {
      // In a header it would have been taken out; elsewhere it may be a target, but not here.
      refuseUse(
          EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET,
          "the policy lets this request go without credentials");
      return;
    }
    if (uses.stream().anyMatch(Use::signs) && record.hidesPath()) {
      refuseUse(
          EgressReason.EGRESS_REASON_SIGNATURE_UNSUPPORTED,
          "what is signed is on record, and the path holds what a data rule keeps off it");
      return;
    }
    signed = Signable.of(head, name(), uses, body);
    head = signed.map(Signable::head).orElse(head);
    Question question =
        new Question(
            attachment,
            id,
            name().value(),
            connection.port(),
            head.method(),
            record.shownPath(RequestTarget.shownPath(head.path())),
            connection.tls(),
            uses,
            unauthorised(),
            signed.map(Signable::toSign));
    if (!Materialisation.begin(
        surroundings, connection.slot(), guest.eventLoop(), question, this)) {
      // Without the secret's name, so that a flood of them is counted and not told one by one.
      refuse(
          EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE,
          "too many requests of this sandbox wait for their secrets");
    }
  }

  private Set<String> unauthorised() {
    return uses.stream()
        .map(use -> use.grant().id())
        .distinct()
        .filter(connection.slot()::takeUnauthorised)
        .collect(Collectors.toSet());
  }

  @Override
  public void materialised(List<SecretValue> values) {
    if (finished) {
      values.forEach(SecretValue::close);
      return;
    }
    try {
      secrets = new Secrets(uses, values, signed);
    } catch (IllegalArgumentException e) {
      values.forEach(SecretValue::close);
      refuseUse(EgressReason.EGRESS_REASON_INTERNAL, String.valueOf(e.getMessage()));
      return;
    }
    // Where the connection was lost meanwhile this waits for the next one.
    send();
  }

  @Override
  public void notMaterialised(UpstreamException why) {
    refuseUse(why.reason(), String.valueOf(why.getMessage()));
  }

  private void send() {
    UpstreamStream stream = upstream;
    if (stream == null) {
      return;
    }
    OutgoingRequest request;
    try {
      request = outgoing(stream);
    } catch (Template.UnrepresentableException e) {
      refuseUse(EgressReason.EGRESS_REASON_VALUE_NOT_REPRESENTABLE, String.valueOf(e.getMessage()));
      return;
    }
    stream
        .channel
        .write(request)
        .addListener(written -> {
          if (!written.isSuccess()) {
            stream.channel.close();
          }
        });
    if (!retried) {
      surroundings.exchanges().leaves(!uses.isEmpty(), own + System.nanoTime() - connected);
    }
    sent = true;
    pass();
  }

  private OutgoingRequest outgoing(UpstreamStream stream) throws Template.UnrepresentableException {
    RequestHead written = head;
    Optional<Template> template = targeted.flatMap(TargetedBody::template);
    if (template.isPresent() && secrets != null) {
      body.replace(secrets.fill(template.get(), stream.connection.channel.alloc()));
      written = targeted.get().written(head);
    }
    return UpstreamRequest.of(
        written,
        name(),
        body.leaving(head.bodyLength()),
        connection.tls(),
        stream.connection.http2,
        Optional.ofNullable(secrets));
  }

  /** Writes what may leave, as far as the upstream takes it. */
  private void pass() {
    UpstreamStream stream = upstream;
    if (stream == null || finished) {
      return;
    }
    while (stream.channel.isWritable()) {
      Optional<ByteBuf> part = body.poll();
      if (part.isEmpty()) {
        break;
      }
      stream.channel.write(part.get());
    }
    if (body.ended() && body.waitingBytes() == 0 && !endWritten) {
      endWritten = true;
      if (admission != null) {
        admission.sentAll();
      }
      // Flushed with all that was written before it; a flush of nothing would be one more of TLS.
      stream.channel.writeAndFlush(End.plain());
    } else {
      stream.channel.flush();
    }
    body.throttle();
  }

  @Override
  public void upstreamWritable() {
    if (sent) {
      pass();
      progress();
    }
  }

  @Override
  public void answered(Object part) {
    switch (part) {
      case ResponseHead answer -> {
        if (answer.status() == 101) {
          switches(answer);
        } else if (WebSocketExchange.misleads(head, answer, guest)) {
          refuse(
              EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED,
              "the upstream is not followed: it answers a WebSocket's handshake with something"
                  + " else, and in HTTP/2 that would be taken for one");
        } else if (!answer.informational()) {
          answerBegins(answer);
        }
      }
      case MalformedException malformed ->
          refuse(
              EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE,
              "the upstream's answer is no HTTP: " + malformed.text());
      case ByteBuf data -> {
        if (answering == null || (admission != null && !admission.receives(data.readableBytes()))) {
          data.release();
        } else {
          answering.data(data);
          progress();
        }
      }
      case End end -> {
        if (answering != null) {
          answering.end(end);
          progress();
        }
      }
      default -> throw new IllegalStateException("not an HTTP part: " + part);
    }
  }

  @Override
  public void answeredSoFar() {
    if (answering != null) {
      guest.flush();
    }
  }

  private void switches(ResponseHead answer) {
    UpstreamStream stream = upstream;
    Admission admitted = admission;
    Optional<String> wrong =
        WebSocketHandshake.asked(head)
            ? WebSocketExchange.wrong(head, answer)
            : Optional.of("it left HTTP unasked");
    if (stream == null || admitted == null || wrong.isPresent()) {
      refuse(
          EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED,
          "the upstream is not followed: " + wrong.orElse("it is gone"));
      return;
    }
    finished = true;
    deadline.cancel();
    closeBody();
    upstream = null;
    FrameSecrets frames =
        new FrameSecrets(
            surroundings,
            connection,
            guest.eventLoop(),
            head,
            id,
            name(),
            Optional.ofNullable(secrets));
    WebSocketExchange fresh =
        new WebSocketExchange(
            surroundings,
            guest,
            record,
            admitted,
            name(),
            uses,
            frames,
            connection.slot().unendedFrames());
    secrets = null;
    socket = fresh;
    fresh.begin(answer, stream);
  }

  /** The policy's word, at any time. */
  private void forbid(EgressReason reason, String message) {
    if (socket != null) {
      socket.forbid(reason, message);
    } else {
      refuse(reason, message);
    }
  }

  private void answerBegins(ResponseHead answer) {
    UpstreamStream stream = upstream;
    if (stream != null && !finished) {
      uses.forEach(
          use -> connection.slot().answered(use.grant().id(), answer.status() == UNAUTHORISED));
      Answering fresh = new Answering(this, guest, stream, head.method(), secrets);
      answering = fresh;
      fresh.begin(downgraded() ? Downgrade.of(answer) : answer);
      progress();
    }
  }

  private boolean downgraded() {
    return admission != null && admission.downgrades();
  }

  void guestWritable() {
    if (answering != null) {
      answering.guestWritable();
      progress();
    }
  }

  @Override
  public void upstreamClosed() {
    UpstreamStream stream = upstream;
    if (stream != null && !retried && (!sent || mayRepeat(stream))) {
      // What the broker gave, or is still asked for, serves the next connection.
      retried = true;
      opening = false;
      sent = false;
      endWritten = false;
      upstream = null;
      open();
      return;
    }
    refuse(EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE, "the upstream broke off");
  }

  /**
   * A kept connection that the upstream had closed meanwhile, RFC 9110 section 9.2.2. Only for what
   * was sent: before that every request may go over another connection.
   */
  private boolean mayRepeat(UpstreamStream stream) {
    return stream.reused
        && answering == null
        && body.ended()
        && body.bytes() == 0
        && REPEATABLE.contains(head.method());
  }

  void guestGone() {
    if (!finished) {
      finish(
          Verdict.VERDICT_ALLOWED,
          EgressReason.EGRESS_REASON_UNSPECIFIED,
          0,
          "the guest broke off");
    }
  }

  /** The answer was given to the guest, whole. */
  void answeredWhole(int status) {
    UpstreamStream stream = upstream;
    upstream = null;
    if (stream != null) {
      if (body.ended() && endWritten) {
        stream.release();
      } else {
        stream.abort();
      }
    }
    // Where it came before the end of the request, the rest has to be read to be dropped.
    guest.config().setAutoRead(true);
    finish(Verdict.VERDICT_ALLOWED, EgressReason.EGRESS_REASON_UNSPECIFIED, status, "");
  }

  void refuse(EgressReason reason, String message) {
    refuse(reason, message, "", "");
  }

  /** Whether any is given at present; else it was refused. */
  private boolean givesSecrets(List<Use> wanted) {
    Optional<Withheld> withheld = Withheld.at(surroundings, attachment);
    withheld.ifPresent(why -> {
      if (why.reason() == EgressReason.EGRESS_REASON_SPOOL_FULL) {
        refuse(why.reason(), why.message());
      } else {
        refuseUse(why.reason(), why.message(), wanted.getFirst());
      }
    });
    return withheld.isEmpty();
  }

  /** Where a secret was to be used: the event says which, the first of several, and for what. */
  private void refuseUse(EgressReason reason, String message) {
    refuseUse(reason, message, uses.getFirst());
  }

  private void refuseUse(EgressReason reason, String message, Use first) {
    refuse(reason, message, first.grant().secret(), first.target().toString());
  }

  private void refuse(Judgement.Refuse refusal) {
    refuse(refusal.reason(), refusal.message(), refusal.secret(), refusal.target().toString());
  }

  private void refuse(EgressReason reason, String message, String secret, String target) {
    if (finished) {
      return;
    }
    boolean begun = answering != null && answering.begun();
    Answers.Refusal refusal = Answers.refusal(reason, message, id);
    finish(Verdict.VERDICT_DENIED, reason, refusal.head().status(), message, secret, target);
    if (begun) {
      // Too late for a status: the guest must see that the answer is not whole.
      refusal.body().release();
      guest.flush();
      guest.close();
      return;
    }
    guest.config().setAutoRead(true);
    refusal.writeTo(guest);
    over.run();
  }

  private void finish(Verdict verdict, EgressReason reason, int status, String message) {
    Use first = uses.isEmpty() ? null : uses.getFirst();
    finish(
        verdict,
        reason,
        status,
        message,
        first == null ? "" : first.grant().secret(),
        first == null ? "" : first.target().toString());
    if (verdict == Verdict.VERDICT_ALLOWED && guest.isActive()) {
      over.run();
    }
  }

  private void finish(
      Verdict verdict,
      EgressReason reason,
      int status,
      String message,
      String secret,
      String target) {
    finished = true;
    deadline.cancel();
    if (admission != null) {
      admission.close();
    }
    if (approval != null) {
      approval.close();
    }
    UpstreamStream stream = upstream;
    upstream = null;
    if (stream != null) {
      stream.abort();
    }
    record.tell(
        record
            .event(verdict, reason, Optional.ofNullable(host))
            .setSecret(secret)
            .setTarget(target)
            .setStatus(status)
            .setBytesOut(body.bytes())
            .setBytesIn(answering == null ? 0 : answering.bytes())
            .setDowngraded(downgraded())
            .setApproval(approval == null ? "" : approval.id())
            .setLearned(admission != null && admission.learned())
            .setMessage(message));
    if (answering != null) {
      answering.close();
    }
    closeBody();
    closeSecrets();
  }

  /** Once; a body that was counted among those that are kept no longer is. */
  private void closeBody() {
    body.close();
    if (targeted.isPresent() || keptToSign) {
      connection.slot().keptBodies().remove();
    }
  }

  private void closeSecrets() {
    if (secrets != null) {
      surroundings.exchanges().scrubbed(secrets.scrubber().replaced());
      secrets.close();
      secrets = null;
    }
  }
}
