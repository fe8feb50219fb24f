package dev.cofferdam.edge.api;

import com.linecorp.armeria.common.HttpHeaderNames;
import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.common.websocket.WebSocket;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.ServiceRequestContext;
import com.linecorp.armeria.server.SimpleDecoratingHttpService;
import com.linecorp.armeria.server.websocket.WebSocketService;
import com.linecorp.armeria.server.websocket.WebSocketUpgradeResult;
import dev.cofferdam.edge.head.CarriedHeads;
import dev.cofferdam.edge.head.FirstHead;
import dev.cofferdam.edge.mesh.DenoToken;
import dev.cofferdam.edge.mesh.MeshClient;
import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.edge.sandbox.Sandboxes;
import dev.cofferdam.edge.sandbox.Sandboxes.Opened;
import dev.cofferdam.edge.secret.CarriedConfig;
import dev.cofferdam.edge.secret.ConfigReader;
import dev.cofferdam.edge.secret.HeldValue;
import dev.cofferdam.edge.session.Arrived;
import dev.cofferdam.edge.session.MemoryBudget;
import dev.cofferdam.edge.session.Peer;
import dev.cofferdam.edge.session.Session;
import io.netty.util.AttributeKey;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.Semaphore;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code create} and {@code connect}: there is a sandbox, or an error, before the socket is
 * accepted.
 */
final class SandboxSockets {
  private static final AttributeKey<Ready> READY =
      AttributeKey.valueOf(SandboxSockets.class, "READY");
  private static final Logger log = LoggerFactory.getLogger(SandboxSockets.class);

  private final MeshClient mesh;
  private final Sandboxes sandboxes;
  private final CarriedHeads carried;
  private final Sessions sessions;
  private final MemoryBudget memory;
  private final Executor threads;
  private final Semaphore free;
  private final int messageBytes;

  /** A sandbox whose socket is about to be accepted. */
  private record Ready(Tenant tenant, Opened opened, Peer peer, MemoryBudget.Account memory) {}

  /** Finds or makes the sandbox of a request. */
  @FunctionalInterface
  private interface Opening {
    Opened open(ServiceRequestContext context, HttpRequest request, Tenant tenant) throws HttpError;
  }

  /**
   * @param atMost sockets at a time
   */
  SandboxSockets(
      MeshClient mesh,
      Sandboxes sandboxes,
      CarriedHeads carried,
      Sessions sessions,
      MemoryBudget memory,
      Executor threads,
      int atMost,
      int messageBytes) {
    this.mesh = mesh;
    this.sandboxes = sandboxes;
    this.carried = carried;
    this.sessions = sessions;
    this.memory = memory;
    this.threads = threads;
    this.free = new Semaphore(atMost);
    this.messageBytes = messageBytes;
  }

  HttpService create() {
    return service((_, request, tenant) -> {
      try (CarriedConfig config = config(request)) {
        Opened opened = sandboxes.create(tenant, config);
        if (!config.values().isEmpty()) {
          threads.execute(() -> sandboxes.sweep(tenant));
        }
        return opened;
      }
    });
  }

  HttpService connect() {
    return service((context, _, tenant) ->
        sandboxes.find(tenant, Optional.ofNullable(context.pathParam("id")).orElse("")));
  }

  private CarriedConfig config(HttpRequest request) throws HttpError {
    List<String> tickets = request.headers().getAll(FirstHead.CONFIG);
    if (tickets.size() != 1) {
      throw HttpError.invalid("INVALID_CONFIGURATION", "expected one " + FirstHead.CONFIG);
    }
    Optional<HeldValue> held = carried.take(tickets.getFirst());
    try (HeldValue base64 =
        held.orElseThrow(() ->
            HttpError.invalid(
                "INVALID_CONFIGURATION",
                FirstHead.CONFIG + " goes with the first request of a connection"))) {
      return ConfigReader.read(base64);
    } catch (IllegalArgumentException e) {
      throw HttpError.invalid("INVALID_CONFIGURATION", String.valueOf(e.getMessage()));
    }
  }

  private HttpService service(Opening opening) {
    WebSocketService sockets =
        WebSocketService.builder(this::accepted)
            // Cookies count for nothing here: no page of a browser can have a token.
            .allowedOrigins("*")
            .maxFramePayloadLength(messageBytes)
            .aggregateContinuation(false)
            .build();
    return sockets.decorate(delegate -> new Decorated(sockets, delegate, opening));
  }

  private WebSocket accepted(ServiceRequestContext context, WebSocket in) {
    Ready ready = context.attr(READY);
    if (ready == null) {
      throw new IllegalStateException("no sandbox was opened for the socket");
    }
    return sessions.begin(
        ready.tenant(),
        ready.opened(),
        ready.peer(),
        new Session.Connection(
            context.eventLoop(), () -> Linger.begin(context), () -> Linger.over(context)),
        ready.memory(),
        in,
        free::release);
  }

  private final class Decorated extends SimpleDecoratingHttpService {
    private final WebSocketService sockets;
    private final Opening opening;

    Decorated(WebSocketService sockets, HttpService delegate, Opening opening) {
      super(delegate);
      this.sockets = sockets;
      this.opening = opening;
    }

    @Override
    public HttpResponse serve(ServiceRequestContext context, HttpRequest request) throws Exception {
      context.clearRequestTimeout();
      return HttpResponse.of(
          CompletableFuture.supplyAsync(() -> opened(context, request), threads));
    }

    private HttpResponse opened(ServiceRequestContext context, HttpRequest request) {
      boolean accepted = false;
      if (!free.tryAcquire()) {
        return Answers.error(
            new HttpError(503, "TOO_MANY_SESSIONS", "the edge has as many sessions as it may"));
      }
      try {
        DenoToken token =
            DenoToken.ofHeader(request.headers().get(HttpHeaderNames.AUTHORIZATION, ""))
                .orElseThrow(HttpError::invalidToken);
        Tenant tenant = mesh.tenant(token);
        WebSocketUpgradeResult upgrade = sockets.protocolHandler().upgrade(context, request);
        if (!upgrade.isSuccess()) {
          return upgrade.fallbackResponse();
        }
        Opened sandbox = opening.open(context, request, tenant);
        Peer peer = Peer.ofUserAgent(request.headers().get(HttpHeaderNames.USER_AGENT, ""));
        MemoryBudget.Account account = memory.open(token.api());
        context.setAttr(READY, new Ready(tenant, sandbox, peer, account));
        context.addAdditionalResponseHeader("x-deno-sandbox-id", sandbox.foreignId());
        HttpResponse response = serve(context, request, sandbox, tenant, account);
        accepted = true;
        return response;
      } catch (HttpError e) {
        return Answers.error(e);
      } catch (Exception e) {
        log.atError().setMessage("open_failed").setCause(e).log();
        return Answers.error(Answers.internal());
      } finally {
        if (!accepted) {
          free.release();
        }
      }
    }

    private HttpResponse serve(
        ServiceRequestContext context,
        HttpRequest request,
        Opened sandbox,
        Tenant tenant,
        MemoryBudget.Account account)
        throws Exception {
      boolean begun = false;
      try {
        HttpResponse response = unwrap().serve(context, Arrived.counted(request, account));
        begun = true;
        return response;
      } finally {
        if (!begun) {
          account.close();
        }
        if (!begun && sandbox.endsWithSession()) {
          sandboxes.end(tenant, sandbox.sandbox());
        }
      }
    }
  }
}
