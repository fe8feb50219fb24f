package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.broker.BrokerClient;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.store.SandboxStore;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends sandboxes. First the record says so, which no crash undoes; then the grants are revoked,
 * then the node removes it; only when both have answered has it ended. What fails is tried again
 * until it succeeds. Safe for use by several threads.
 */
public final class SandboxEnder implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(SandboxEnder.class);

  private final SandboxStore store;
  private final BrokerClient broker;
  private final Cluster cluster;
  private final Creations creations;
  private final Duration createTimeout;
  private final InstantSource clock;
  private final Map<String, CompletableFuture<Boolean>> finishing = new ConcurrentHashMap<>();
  private final Retries retries;
  private final Backlog backlog = new Backlog(32);

  SandboxEnder(
      SandboxStore store,
      BrokerClient broker,
      Cluster cluster,
      Creations creations,
      Duration createTimeout,
      InstantSource clock) {
    this.store = store;
    this.broker = broker;
    this.cluster = cluster;
    this.creations = creations;
    this.createTimeout = createTimeout;
    this.clock = clock;
    this.retries = new Retries(clock);
  }

  /**
   * Puts on record that it has to go. A sandbox that is going already keeps its first cause. Empty
   * when the record is gone.
   */
  public Optional<Sandbox> stop(String id, EndCause cause, String message) {
    while (true) {
      Optional<Sandbox> found = store.find(id);
      if (found.isEmpty()) {
        return found;
      }
      Sandbox sandbox = found.get();
      switch (sandbox.state()) {
        case Starting _, Live _ -> {
          var transition = sandbox.stopping(cause, message);
          if (store.apply(transition)) {
            log.atInfo()
                .setMessage("sandbox_stopping")
                .addKeyValue("sandbox", id)
                .addKeyValue("cause", cause)
                .addKeyValue("why", message)
                .log();
            return Optional.of(transition.after());
          }
        }
        case Stopping _, Ended _ -> {
          return found;
        }
      }
    }
  }

  /** As {@link #stop} for one exact version of the record: false when it has changed since. */
  boolean stopExactly(Sandbox sandbox, EndCause cause, String message) {
    return store.apply(sandbox.stopping(cause, message));
  }

  /**
   * Does what a stopping sandbox still needs; several callers share one attempt. True once nothing
   * of it is left; after false it is tried again in the background. Blocks, at most for the
   * deadlines of the calls.
   */
  public boolean finish(String id) {
    CompletableFuture<Boolean> mine = new CompletableFuture<>();
    @Nullable CompletableFuture<Boolean> other = finishing.putIfAbsent(id, mine);
    if (other != null) {
      return other.join();
    }
    boolean done = false;
    try {
      // A create that is under way would go on to make what is removed here.
      creations.await(id, createTimeout);
      done = attempt(id);
    } catch (RuntimeException e) {
      log.atWarn().setMessage("end_failed").addKeyValue("sandbox", id).setCause(e).log();
    } finally {
      retries.note(id, done);
      finishing.remove(id);
      mine.complete(done);
    }
    return done;
  }

  /** {@link #stop} and {@link #finish}, in the background. */
  void endLater(String id, EndCause cause, String message) {
    backlog.add(
        id,
        () -> {
          var _ = stop(id, cause, message);
          finish(id);
        });
  }

  public void finishLater(String id) {
    backlog.add(id, () -> finish(id));
  }

  /** Takes up again what is due, of sandboxes that are stopping. */
  void retry(Sandbox stopping) {
    if (retries.isDue(stopping.id())
        && !finishing.containsKey(stopping.id())
        && !creations.contains(stopping.id())) {
      finishLater(stopping.id());
    }
  }

  /** Something came back: whatever waits is due now. */
  void retryAllNow() {
    retries.allNow();
  }

  @Override
  public void close() {
    backlog.close();
  }

  private boolean attempt(String id) {
    Optional<Sandbox> found = store.find(id);
    if (found.isEmpty()) {
      return true;
    }
    Sandbox sandbox = found.get();
    return switch (sandbox.state()) {
      case Stopping _ -> {
        boolean revoked = tried("revoke", sandbox, () -> broker.revoke(id));
        // Also when the broker is away: without a VM nobody is left who could use a grant.
        boolean removed =
            tried(
                "remove", sandbox, () -> cluster.link(sandbox.node()).remove(id, sandbox.epoch()));
        if (removed) {
          // Whatever becomes of the record: nothing of it holds the node's room any longer.
          cluster.release(sandbox.node(), id);
        }
        if (!revoked || !removed) {
          yield false;
        }
        boolean ended = store.apply(sandbox.ended(clock.instant()));
        if (ended) {
          log.atInfo().setMessage("sandbox_ended").addKeyValue("sandbox", id).log();
        }
        yield ended;
      }
      case Ended _ -> true;
      case Starting _, Live _ -> false;
    };
  }

  private static boolean tried(String step, Sandbox sandbox, Runnable work) {
    try {
      work.run();
      return true;
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("end_step_failed")
          .addKeyValue("sandbox", sandbox.id())
          .addKeyValue("node", sandbox.node())
          .addKeyValue("step", step)
          .addKeyValue("why", e.getMessage())
          .log();
      return false;
    }
  }
}
