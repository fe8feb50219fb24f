package dev.cofferdam.edge.api;

import com.linecorp.armeria.common.websocket.WebSocket;
import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.edge.sandbox.Sandboxes;
import dev.cofferdam.edge.sandbox.Sandboxes.Opened;
import dev.cofferdam.edge.session.MemoryBudget;
import dev.cofferdam.edge.session.Peer;
import dev.cofferdam.edge.session.Session;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.edge.session.SessionLimits;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.WatchSandboxEventsRequest;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The sockets that are open: each ends with its sandbox, and some sandboxes end with theirs. */
final class Sessions implements AutoCloseable {
  private static final long AGAIN_SECONDS = 1;
  private static final Logger log = LoggerFactory.getLogger(Sessions.class);

  private final Sandboxes sandboxes;
  private final SessionLimits limits;
  private final List<SessionContext.PartFactory> parts;
  private final Executor threads;
  private final AtomicLong streamIds;

  /** By what waits for their end. */
  private final Map<CountDownLatch, Session> open = new ConcurrentHashMap<>();

  /**
   * @param firstStream below 2^52: JavaScript counts no further than 2^53
   */
  Sessions(
      Sandboxes sandboxes,
      SessionLimits limits,
      List<SessionContext.PartFactory> parts,
      Executor threads,
      long firstStream,
      MeterRegistry meters) {
    this.sandboxes = sandboxes;
    this.limits = limits;
    this.parts = List.copyOf(parts);
    this.threads = threads;
    this.streamIds = new AtomicLong(firstStream);
    Gauge.builder("cofferdam.edge.sessions", open, Map::size)
        .description("Sockets of SDKs that are open")
        .register(meters);
  }

  WebSocket begin(
      Tenant tenant,
      Opened opened,
      Peer peer,
      Session.Connection connection,
      MemoryBudget.Account memory,
      WebSocket in,
      Runnable freed) {
    CountDownLatch over = new CountDownLatch(1);
    Session session =
        new Session(
            tenant,
            opened.sandbox().getId(),
            peer,
            connection,
            limits,
            streamIds,
            memory,
            parts,
            threads,
            () -> ended(tenant, opened, over, freed));
    open.put(over, session);
    session.alongside(() -> watch(tenant, opened, session, over));
    if (opened.endsWithSession()) {
      session.alongside(() -> keepAlive(tenant, opened, over));
    }
    log.atInfo()
        .setMessage("session_opened")
        .addKeyValue("sandbox", opened.sandbox().getId())
        .log();
    return session.start(in);
  }

  private void ended(Tenant tenant, Opened opened, CountDownLatch over, Runnable freed) {
    open.remove(over);
    freed.run();
    over.countDown();
    if (opened.endsWithSession()) {
      threads.execute(() -> sandboxes.end(tenant, opened.sandbox()));
    }
  }

  private void keepAlive(Tenant tenant, Opened opened, CountDownLatch over) {
    try {
      // Two renewals may fail.
      while (!over.await(sandboxes.lease().toMillis() / 3, TimeUnit.MILLISECONDS)) {
        renew(tenant, opened);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void renew(Tenant tenant, Opened opened) {
    try {
      sandboxes.renew(tenant, opened.sandbox());
    } catch (StatusException e) {
      log.atInfo()
          .setMessage("renewal_failed")
          .addKeyValue("sandbox", opened.sandbox().getId())
          .addKeyValue("status", e.getStatus().getCode())
          .log();
    }
  }

  /** Ends the session when its sandbox has ended, whoever ended it. */
  private void watch(Tenant tenant, Opened opened, Session session, CountDownLatch over) {
    String cursor = "";
    try {
      do {
        BlockingClientCall<?, SandboxEvent> call =
            tenant
                .watching()
                .watchSandboxEvents(
                    WatchSandboxEventsRequest.newBuilder()
                        .setSandbox(opened.sandbox().getId())
                        .setCursor(cursor)
                        .setFollow(true)
                        .build());
        try {
          for (SandboxEvent event = call.read(); event != null; event = call.read()) {
            cursor = event.getCursor();
            if (event.getType() == SandboxEventType.SANDBOX_EVENT_TYPE_ENDED) {
              ended(tenant, opened, session);
              return;
            }
          }
        } catch (StatusException e) {
          if (e.getStatus().getCode() == Status.Code.NOT_FOUND) {
            ended(tenant, opened, session);
            return;
          }
        } finally {
          call.cancel("done", null);
        }
      } while (!over.await(AGAIN_SECONDS, TimeUnit.SECONDS));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void ended(Tenant tenant, Opened opened, Session session) {
    session.end("the sandbox has ended");
    threads.execute(() -> sandboxes.forgetSecrets(tenant, opened.sandbox()));
  }

  /** Sandboxes that end with their sockets end by their lease where there is no time for more. */
  @Override
  public void close() {
    Map<CountDownLatch, Session> ending = Map.copyOf(open);
    ending.values().forEach(session -> session.end("the edge is stopping"));
    try {
      for (CountDownLatch over : ending.keySet()) {
        if (!over.await(5, TimeUnit.SECONDS)) {
          return;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
