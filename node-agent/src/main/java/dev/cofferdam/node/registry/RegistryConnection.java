package dev.cofferdam.node.registry;

import dev.cofferdam.internal.v1.ConnectRequest;
import dev.cofferdam.internal.v1.ConnectResponse;
import dev.cofferdam.internal.v1.NodeRegistration;
import dev.cofferdam.internal.v1.NodeRegistryServiceGrpc;
import dev.cofferdam.internal.v1.SandboxChanged;
import dev.cofferdam.internal.v1.SandboxLost;
import dev.cofferdam.kit.client.Guard;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The node's standing stream to the scheduler: registration, heartbeats, losses; instructions come
 * back. A stream that ends is opened again, after a pause that doubles and is drawn at random
 * within, so that many nodes do not come back at one moment.
 *
 * <p>A stream is open once the scheduler has said a word on it; until then it is a call like any
 * other, with a deadline and under the circuit.
 *
 * <p>A loss that no stream is there for needs no keeping: the next registration names what runs,
 * and the scheduler compares.
 */
public final class RegistryConnection implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(RegistryConnection.class);
  private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);
  private static final long OPENING_SECONDS = 10;

  private final NodeRegistryServiceGrpc.NodeRegistryServiceStub stub;
  private final Guard guard;
  private final NodeFacts facts;
  private final NodeView view;
  private final ScheduledExecutorService scheduler;
  private final ExecutorService executor;
  private final RandomGenerator random;
  private final Object lock = new Object();
  private @Nullable Session session;
  private int failures;
  private boolean closed;

  /**
   * @param scheduler keeps the time; never blocked
   * @param executor runs instructions, and waits for streams to open
   */
  public RegistryConnection(
      Channel channel,
      Guard guard,
      NodeFacts facts,
      NodeView view,
      ScheduledExecutorService scheduler,
      ExecutorService executor,
      RandomGenerator random) {
    this.stub = NodeRegistryServiceGrpc.newStub(channel);
    this.guard = guard;
    this.facts = facts;
    this.view = view;
    this.scheduler = scheduler;
    this.executor = executor;
    this.random = random;
  }

  public void start() {
    executor.execute(this::open);
  }

  /** Whether the scheduler took the registration of the stream that is open. */
  public boolean connected() {
    synchronized (lock) {
      return session != null && session.registered;
    }
  }

  public void lost(String sandbox, long epoch, String message) {
    synchronized (lock) {
      if (session != null) {
        session.send(
            ConnectRequest.newBuilder()
                .setSandboxLost(
                    SandboxLost.newBuilder()
                        .setSandbox(sandbox)
                        .setEpoch(epoch)
                        .setMessage(message))
                .build());
      }
    }
  }

  /** What is not sent is told by the next registration. */
  public void changed(SandboxChanged change) {
    synchronized (lock) {
      if (session != null) {
        session.send(ConnectRequest.newBuilder().setSandboxChanged(change).build());
      }
    }
  }

  @Override
  public void close() {
    synchronized (lock) {
      closed = true;
      if (session != null) {
        session.end("the node agent stops");
      }
    }
  }

  private void open() {
    Session fresh = new Session();
    synchronized (lock) {
      if (closed) {
        return;
      }
      session = fresh;
    }
    try {
      var _ =
          guard.call(() -> {
            fresh.open();
            return fresh.awaitWord();
          });
    } catch (StatusRuntimeException e) {
      fresh.end("the stream did not open");
      ended(fresh, e.getStatus());
    }
  }

  private NodeRegistration registration() {
    return NodeRegistration.newBuilder()
        .setAddress(facts.address())
        .setVcpus(facts.vcpus())
        .setMemoryMib(facts.memoryMib())
        .setDiskMib(facts.diskMib())
        .setSlots(facts.slots())
        .setIsolation(facts.isolation())
        .setHypervisor(facts.hypervisor())
        .setSlotPrefix(facts.slotPrefix())
        .addAllTemplates(view.templates())
        .addAllSandboxes(view.running())
        .build();
  }

  private void ended(Session which, Status status) {
    synchronized (lock) {
      if (session != which) {
        return;
      }
      which.stopBeating();
      session = null;
      if (closed) {
        return;
      }
      failures = which.registered ? 0 : failures + 1;
      long most =
          Math.min(FIRST_PAUSE.toMillis() << Math.min(failures, 10), LONGEST_PAUSE.toMillis());
      long pause = most / 2 + random.nextLong(most / 2 + 1);
      log.atWarn()
          .setMessage("scheduler_disconnected")
          .addKeyValue("status", status.getCode())
          .addKeyValue("description", status.getDescription())
          .addKeyValue("again_ms", pause)
          .log();
      var _ = scheduler.schedule(this::start, pause, TimeUnit.MILLISECONDS);
    }
  }

  /** One stream. Its fields are guarded by the connection's lock. */
  private final class Session implements ClientResponseObserver<ConnectRequest, ConnectResponse> {
    private @Nullable ClientCallStreamObserver<ConnectRequest> requests;
    private @Nullable ScheduledFuture<?> beat;
    private boolean registered;

    /** Done with the scheduler's first word, or with the end that came before any. */
    private final CompletableFuture<Boolean> word = new CompletableFuture<>();

    @Override
    public void beforeStart(ClientCallStreamObserver<ConnectRequest> stream) {
      requests = stream;
    }

    @Override
    public void onNext(ConnectResponse response) {
      word.complete(true);
      switch (response.getInstructionCase()) {
        case HEARTBEAT_INTERVAL_MS -> beatEvery(response.getHeartbeatIntervalMs());
        case REMOVE_SANDBOX -> {
          String sandbox = response.getRemoveSandbox();
          executor.execute(() -> remove(sandbox));
        }
        case DRAINING -> view.draining(response.getDraining());
        case INSTRUCTION_NOT_SET -> {
          // Of a newer scheduler: what it means is not known here.
        }
      }
    }

    @Override
    public void onError(Throwable thrown) {
      over(Status.fromThrowable(thrown).asRuntimeException(Status.trailersFromThrowable(thrown)));
    }

    @Override
    public void onCompleted() {
      over(
          Status.UNAVAILABLE
              .withDescription("the scheduler ended the stream")
              .asRuntimeException());
    }

    /** Whoever waits for the first word sees to an end before it. */
    private void over(StatusRuntimeException why) {
      if (!word.completeExceptionally(why)) {
        ended(this, why.getStatus());
      }
    }

    void open() {
      synchronized (lock) {
        var _ = stub.connect(this);
        send(ConnectRequest.newBuilder().setRegistration(registration()).build());
      }
    }

    boolean awaitWord() {
      try {
        return word.get(OPENING_SECONDS, TimeUnit.SECONDS);
      } catch (ExecutionException e) {
        if (e.getCause() instanceof StatusRuntimeException why) {
          throw why;
        }
        throw new IllegalStateException(e);
      } catch (TimeoutException e) {
        throw Status.DEADLINE_EXCEEDED
            .withDescription("no word within %d s".formatted(OPENING_SECONDS))
            .asRuntimeException();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw Status.CANCELLED.asRuntimeException();
      }
    }

    void send(ConnectRequest request) {
      try {
        if (requests != null) {
          requests.onNext(request);
        }
      } catch (IllegalStateException e) {
        // The stream is over; its end is on its way to us.
      }
    }

    void end(String why) {
      synchronized (lock) {
        stopBeating();
        if (requests != null) {
          requests.cancel(why, null);
        }
      }
    }

    private void beatEvery(int millis) {
      synchronized (lock) {
        if (session != this || millis <= 0) {
          return;
        }
        registered = true;
        stopBeating();
        log.atInfo().setMessage("scheduler_connected").addKeyValue("heartbeat_ms", millis).log();
        beat = scheduler.scheduleAtFixedRate(this::beat, millis, millis, TimeUnit.MILLISECONDS);
      }
    }

    private void beat() {
      ConnectRequest request = ConnectRequest.newBuilder().setHeartbeat(view.heartbeat()).build();
      synchronized (lock) {
        send(request);
      }
    }

    private void stopBeating() {
      if (beat != null) {
        beat.cancel(false);
        beat = null;
      }
    }

    private void remove(String sandbox) {
      try {
        view.remove(sandbox);
      } catch (RuntimeException e) {
        log.atWarn()
            .setMessage("instruction_failed")
            .addKeyValue("sandbox", sandbox)
            .setCause(e)
            .log();
      }
    }
  }
}
