package dev.cofferdam.edge.port;

import dev.cofferdam.edge.mesh.DenoToken;
import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.CheckPortKeyRequest;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.PortKey;
import io.grpc.StatusException;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Lets requests in and answers each on a thread of its own. */
final class PortRelay {
  /** For the sandbox to end a connection that is done with, before it is broken off. */
  private static final long LINGER_SECONDS = 2;

  /** An idle exchange ends at most a quarter of its time late. */
  private static final int LOOKS = 4;

  private static final int UNAUTHENTICATED = 401;
  private static final int NOT_FOUND = 404;

  private static final Logger log = LoggerFactory.getLogger(PortRelay.class);

  private final PortSettings settings;
  private final MeshClient mesh;
  private final Executor threads;
  private final Tally ofTokens;
  private final Tally ofSandboxes;
  private final AtomicInteger open = new AtomicInteger();
  private final MeterRegistry meters;
  private final InstantSource clock;

  /**
   * @param threads makes a thread for each task
   */
  PortRelay(
      PortSettings settings,
      MeshClient mesh,
      Executor threads,
      InstantSource clock,
      MeterRegistry meters) {
    this.settings = settings;
    this.mesh = mesh;
    this.threads = threads;
    this.ofTokens = new Tally(settings.perToken(), "token");
    this.ofSandboxes = new Tally(settings.perSandbox(), "sandbox");
    this.meters = meters;
    this.clock = clock;
    Gauge.builder("cofferdam.edge.port.requests.open", open, AtomicInteger::get)
        .description("Requests to ports' URLs that are being answered, WebSockets among them")
        .register(meters);
  }

  /**
   * @param from the client's address
   * @param timer of its connection
   */
  void begin(RequestHead head, Client client, String from, String scheme, EventLoop timer) {
    threads.execute(() -> {
      open.incrementAndGet();
      try {
        counted(serve(head, client, from, scheme, timer));
      } catch (InterruptedException e) {
        // The edge ends.
        client.breakOff();
      } catch (RuntimeException e) {
        log.atError().setMessage("port_request_failed").setCause(e).log();
        client.breakOff();
      } finally {
        open.decrementAndGet();
        client.done();
      }
    });
  }

  private void counted(String outcome) {
    meters.counter("cofferdam.edge.port.requests", "outcome", outcome).increment();
  }

  private String serve(RequestHead head, Client client, String from, String scheme, EventLoop timer)
      throws InterruptedException {
    try {
      return switch (HostName.of(head.authority(), settings.domain())) {
        case PortName name -> ofPort(name, head, client, from, scheme, timer);
        case HostName.Exposed exposed ->
            exposed(
                new DenoToken(exposed.host().key(), Optional.empty()),
                Heads.toSandbox(Credential.without(head), from, scheme),
                client,
                timer);
      };
    } catch (HttpError e) {
      return refused(client, e);
    } catch (ClientGoneException e) {
      client.breakOff();
      return "client_gone";
    }
  }

  private String ofPort(
      PortName name, RequestHead head, Client client, String from, String scheme, EventLoop timer)
      throws HttpError, InterruptedException, ClientGoneException {
    Credential credential = Credential.of(head, name);
    if (credential.kind() == Credential.Kind.COOKIE) {
      CrossSite.check(head, scheme);
    }
    DenoToken token = credential.token().orElseThrow(Refusal::notAuthenticated);
    if (credential.kind() == Credential.Kind.LINK && SharedLink.isFollowed(head)) {
      return followed(name, token, credential.left(), client, scheme);
    }
    RequestHead sent = Heads.toSandbox(credential.left(), from, scheme);
    try (Tally.Place _ = ofTokens.take(token.api())) {
      return connected(name, token, sent, client, timer);
    }
  }

  /**
   * For everybody: who asks is not looked at.
   *
   * @param key of the host's name
   */
  private String exposed(DenoToken key, RequestHead sent, Client client, EventLoop timer)
      throws HttpError, InterruptedException, ClientGoneException {
    try (Tally.Place _ = ofTokens.take(key.api())) {
      PortKey known = check(key, CheckPortKeyRequest.getDefaultInstance());
      return connected(new PortName(known.getPort(), known.getSandbox()), key, sent, client, timer);
    } catch (HttpError e) {
      // What never was, and what was there a moment ago, is told in the same words.
      throw e.status() == UNAUTHENTICATED || e.status() == NOT_FOUND ? Refusal.notExposed() : e;
    }
  }

  /** Whether a key is good, and what for. Wakes nothing. */
  private PortKey check(DenoToken key, CheckPortKeyRequest request) throws HttpError {
    try {
      return mesh.tenant(key).portKeys().checkPortKey(request);
    } catch (StatusException e) {
      throw Refusal.of(e);
    }
  }

  /** A link's key becomes a cookie, where it is good for this port. */
  private String followed(
      PortName name, DenoToken key, RequestHead left, Client client, String scheme)
      throws HttpError, InterruptedException, ClientGoneException {
    PortKey known =
        check(
            key,
            CheckPortKeyRequest.newBuilder()
                .setSandbox(name.sandbox())
                .setPort(name.port())
                .build());
    OptionalLong seconds =
        known.hasExpireTime()
            ? OptionalLong.of(
                Math.max(0, known.getExpireTime().getSeconds() - clock.instant().getEpochSecond()))
            : OptionalLong.empty();
    String cookie = KeyCookie.set(key.api(), scheme.equals("https"), seconds);
    client.write(SharedLink.landing(left, scheme, cookie));
    client.write(End.plain());
    return "link_followed";
  }

  private static String refused(Client client, HttpError error) throws InterruptedException {
    try {
      client.refuse(error);
      return "refused";
    } catch (ClientGoneException e) {
      client.breakOff();
      return "client_gone";
    }
  }

  private String connected(
      PortName name, DenoToken token, RequestHead head, Client client, EventLoop timer)
      throws HttpError, InterruptedException, ClientGoneException {
    TwoWayCall<ForwardRequest, ForwardResponse> call = mesh.tenant(token).forward();
    client.whenGone(() -> call.cancel("the client is gone"));
    boolean inOrder = false;
    // Only who may reach the sandbox uses up what it may have.
    try {
      connect(call, name, timer);
      try (Tally.Place _ = ofSandboxes.take(name.sandbox())) {
        Exchange exchange =
            new Exchange(call, client, head, settings.headBytes(), settings.stall(), threads);
        String outcome = watched(exchange, call, client, timer);
        inOrder = exchange.mayEnd();
        return outcome;
      }
    } finally {
      client.whenGone(() -> {});
      if (inOrder) {
        call.halfClose();
        timer.schedule(() -> call.cancel("the answer is whole"), LINGER_SECONDS, TimeUnit.SECONDS);
      } else {
        call.cancel("the exchange is over");
      }
    }
  }

  /** Returns when the port has taken the connection, which wakes a sandbox that sleeps. */
  private void connect(
      TwoWayCall<ForwardRequest, ForwardResponse> call, PortName name, EventLoop timer)
      throws HttpError, InterruptedException {
    AtomicBoolean late = new AtomicBoolean();
    ScheduledFuture<?> deadline =
        timer.schedule(
            () -> {
              late.set(true);
              call.cancel("the port does not answer");
            },
            settings.connect().toMillis(),
            TimeUnit.MILLISECONDS);
    try {
      call.write(
          ForwardRequest.newBuilder().setSandbox(name.sandbox()).setPort(name.port()).build());
      if (call.read().isEmpty()) {
        throw new HttpError(502, "PORT_CLOSED", "the port took no connection");
      }
    } catch (StatusException e) {
      throw late.get()
          ? new HttpError(
              504, "PORT_TIMEOUT", "the port took no connection within " + settings.connect())
          : Refusal.of(e);
    } finally {
      deadline.cancel(false);
    }
  }

  private String watched(
      Exchange exchange,
      TwoWayCall<ForwardRequest, ForwardResponse> call,
      Client client,
      EventLoop timer)
      throws HttpError, InterruptedException, ClientGoneException {
    AtomicBoolean idle = new AtomicBoolean();
    Duration most = settings.idle();
    long look = Math.max(1, most.toMillis() / LOOKS);
    ScheduledFuture<?> watch =
        timer.scheduleWithFixedDelay(
            () -> {
              if (exchange.still() > most.toNanos()) {
                idle.set(true);
                call.cancel("nothing went either way");
              }
            },
            look,
            look,
            TimeUnit.MILLISECONDS);
    try {
      exchange.run();
      return "answered";
    } catch (HttpError e) {
      if (exchange.answered()) {
        // A part must not be taken for the whole.
        client.breakOff();
        return "broken_off";
      }
      throw idle.get()
          ? new HttpError(504, "ANSWER_TIMEOUT", "the port sent nothing for " + most)
          : e;
    } finally {
      watch.cancel(false);
    }
  }
}
