package dev.cofferdam.scheduler.api;

import dev.cofferdam.internal.v1.ConnectRequest;
import dev.cofferdam.internal.v1.ConnectResponse;
import dev.cofferdam.internal.v1.NodeHeartbeat;
import dev.cofferdam.internal.v1.NodeRegistryServiceGrpc;
import dev.cofferdam.internal.v1.PooledMachines;
import dev.cofferdam.internal.v1.RunningSandbox;
import dev.cofferdam.internal.v1.SandboxChanged;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.cluster.Heartbeat;
import dev.cofferdam.scheduler.cluster.NodeConnection;
import dev.cofferdam.scheduler.cluster.NodeRegistration;
import dev.cofferdam.scheduler.lifecycle.NodeReconciler;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.placement.PlacementSpec;
import dev.cofferdam.scheduler.sandbox.Activity;
import dev.cofferdam.scheduler.sandbox.Isolation;
import dev.cofferdam.scheduler.sandbox.Reconciliation;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxState;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The streams that nodes keep open. The listener has checked that the peer is a node-agent. */
public final class NodeRegistryApi extends NodeRegistryServiceGrpc.NodeRegistryServiceImplBase {
  private final NodeReconciler nodes;
  private final Cluster cluster;
  private final Duration heartbeat;
  private final InstantSource clock;

  /**
   * @param heartbeat how often a node has to say that it is there
   */
  public NodeRegistryApi(
      NodeReconciler nodes, Cluster cluster, Duration heartbeat, InstantSource clock) {
    this.nodes = nodes;
    this.cluster = cluster;
    this.heartbeat = heartbeat;
    this.clock = clock;
  }

  @Override
  public StreamObserver<ConnectRequest> connect(StreamObserver<ConnectResponse> observer) {
    return new NodeStream(
        Callers.peer().identity().instance(),
        (ServerCallStreamObserver<ConnectResponse>) observer,
        clock.instant());
  }

  /** gRPC delivers its events one at a time; only {@link #close} comes from other threads. */
  private final class NodeStream implements StreamObserver<ConnectRequest>, NodeConnection {
    private final String node;
    private final ServerCallStreamObserver<ConnectResponse> answers;
    private final Instant opened;
    private final Object lock = new Object();
    private boolean registered;
    private boolean closed;

    NodeStream(String node, ServerCallStreamObserver<ConnectResponse> answers, Instant opened) {
      this.node = node;
      this.answers = answers;
      this.opened = opened;
      answers.setOnCancelHandler(() -> cluster.leave(node, this));
    }

    @Override
    public void onNext(ConnectRequest request) {
      try {
        switch (request.getMessageCase()) {
          case REGISTRATION -> register(request.getRegistration());
          case HEARTBEAT -> heartbeat(request.getHeartbeat());
          case SANDBOX_LOST -> {
            requireRegistered(true);
            nodes.lost(
                node,
                request.getSandboxLost().getSandbox(),
                request.getSandboxLost().getEpoch(),
                Texts.message(request.getSandboxLost().getMessage()));
          }
          case SANDBOX_CHANGED -> changed(request.getSandboxChanged());
          case MESSAGE_NOT_SET -> throw invalid("a message without content");
        }
      } catch (RuntimeException e) {
        end(e);
      }
    }

    @Override
    public void onError(Throwable thrown) {
      cluster.leave(node, this);
    }

    @Override
    public void onCompleted() {
      cluster.leave(node, this);
      synchronized (lock) {
        if (!closed) {
          closed = true;
          answers.onCompleted();
        }
      }
    }

    @Override
    public void close(String why) {
      fail(Status.UNAVAILABLE.withDescription(why).asRuntimeException());
    }

    private void register(dev.cofferdam.internal.v1.NodeRegistration message) {
      requireRegistered(false);
      NodeRegistration registration = registration(message);
      Map<String, Reconciliation.Report> sandboxes = new HashMap<>();
      for (RunningSandbox sandbox : message.getSandboxesList()) {
        sandboxes.put(
            sandbox.getSandbox(),
            new Reconciliation.Report(
                sandbox.getEpoch(), activity(sandbox.getState()), sandbox.getChange()));
      }
      registered = true;
      List<String> remove = nodes.register(registration, sandboxes, this, opened);
      send(
          ConnectResponse.newBuilder()
              .setHeartbeatIntervalMs(Math.toIntExact(heartbeat.toMillis()))
              .build());
      remove.forEach(id -> send(ConnectResponse.newBuilder().setRemoveSandbox(id).build()));
      tellDraining();
    }

    /** What is said last is read last, whoever says it: so it is what is so. */
    @Override
    public void tellDraining() {
      synchronized (lock) {
        send(ConnectResponse.newBuilder().setDraining(cluster.isDraining(node)).build());
      }
    }

    private void changed(SandboxChanged message) {
      requireRegistered(true);
      nodes.changed(
          node,
          message.getSandbox(),
          new Reconciliation.Report(
              message.getEpoch(), activity(message.getState()), message.getChange()),
          Texts.message(message.getMessage()));
    }

    private void heartbeat(NodeHeartbeat message) {
      requireRegistered(true);
      cluster.heartbeat(
          node,
          this,
          new Heartbeat(
              Integer.toUnsignedLong(message.getFreeSlots()),
              Integer.toUnsignedLong(message.getFreeMemoryMib()),
              Set.copyOf(message.getTemplatesList()),
              Texts.message(message.getPressure()),
              pooled(message)));
    }

    private static Map<PlacementSpec, Integer> pooled(NodeHeartbeat message) {
      Map<PlacementSpec, Integer> pooled = new HashMap<>();
      for (PooledMachines each : message.getPooledMachinesList()) {
        try {
          pooled.merge(
              new PlacementSpec(
                  each.getTemplate(),
                  new SandboxSize(
                      each.getSize().getVcpus(),
                      each.getSize().getMemoryMib(),
                      each.getSize().getDiskMib())),
              each.getCount(),
              Integer::sum);
        } catch (IllegalArgumentException e) {
          throw invalid(Texts.message(String.valueOf(e.getMessage())));
        }
      }
      return pooled;
    }

    private NodeRegistration registration(dev.cofferdam.internal.v1.NodeRegistration message) {
      try {
        return new NodeRegistration(
            node,
            message.getAddress(),
            new NodeView.Limit(message.getVcpus(), message.getMemoryMib(), message.getDiskMib()),
            message.getSlots(),
            new HashSet<>(message.getTemplatesList()),
            Isolation.parse(message.getIsolation()),
            message.getHypervisor(),
            message.getSlotPrefix());
      } catch (IllegalArgumentException e) {
        throw invalid(Texts.message(String.valueOf(e.getMessage())));
      }
    }

    private void requireRegistered(boolean expected) {
      if (registered != expected) {
        throw invalid(
            expected
                ? "the first message has to be a registration"
                : "a second registration on one stream");
      }
    }

    private void send(ConnectResponse response) {
      synchronized (lock) {
        if (!closed) {
          answers.onNext(response);
        }
      }
    }

    private void end(RuntimeException cause) {
      cluster.leave(node, this);
      fail(Refusals.toStatus(cause));
    }

    private void fail(RuntimeException status) {
      synchronized (lock) {
        if (!closed) {
          closed = true;
          answers.onError(status);
        }
      }
    }
  }

  private static Activity activity(SandboxState state) {
    return switch (state) {
      case SANDBOX_STATE_UNSPECIFIED, SANDBOX_STATE_RUNNING -> Activity.RUNNING;
      case SANDBOX_STATE_PAUSED -> Activity.PAUSED;
      case SANDBOX_STATE_SUSPENDED -> Activity.SUSPENDED;
      case SANDBOX_STATE_STARTING, SANDBOX_STATE_STOPPING, SANDBOX_STATE_ENDED, UNRECOGNIZED ->
          throw invalid("state is " + state + ", expected RUNNING, PAUSED or SUSPENDED");
    };
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
