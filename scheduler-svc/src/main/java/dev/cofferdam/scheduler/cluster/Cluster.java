package dev.cofferdam.scheduler.cluster;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.cluster.Presence.Connected;
import dev.cofferdam.scheduler.cluster.Presence.Gone;
import dev.cofferdam.scheduler.cluster.Presence.Unseen;
import dev.cofferdam.scheduler.placement.ClusterView;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.ManagedChannel;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The nodes and what is reserved on them. A node is there from its registration until its stream
 * ends or falls silent; its sandboxes stay as they are, for they outlive every process but their
 * own VMM. Safe for use by several threads.
 */
public final class Cluster implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Cluster.class);

  private final NodeRecords records;
  private final Function<InetSocketAddress, ManagedChannel> dialer;
  private final Duration timeout;
  private final InstantSource clock;
  private final MeterRegistry meters;
  private final Counter placed;
  private final Counter missed;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<String, Member> members = new TreeMap<>();

  /**
   * @param dialer makes the channel to a node's address, held to the service {@code node-agent}
   * @param timeout silence after which a node counts as gone
   */
  public Cluster(
      NodeRecords records,
      Function<InetSocketAddress, ManagedChannel> dialer,
      Duration timeout,
      InstantSource clock,
      MeterRegistry meters) {
    this.records = records;
    this.dialer = dialer;
    this.timeout = timeout;
    this.clock = clock;
    this.meters = meters;
    this.placed = placements("placed");
    this.missed = placements("node_full");
    presence("connected", Connected.class);
    presence("unseen", Unseen.class);
    presence("gone", Gone.class);
  }

  private Counter placements(String outcome) {
    return Counter.builder("cofferdam.scheduler.placements")
        .description("Reservations on a chosen node, and those that found it full meanwhile")
        .tag("outcome", outcome)
        .register(meters);
  }

  private void presence(String name, Class<? extends Presence> presence) {
    Gauge.builder("cofferdam.scheduler.nodes", this, cluster -> cluster.count(presence))
        .description("Nodes on record; unseen: not heard of since this process began")
        .tag("presence", name)
        .register(meters);
  }

  /** Takes over what an earlier process knew. Once, before anything else. */
  public void load(List<Sandbox> live) {
    List<NodeRegistration> known = records.all();
    Set<String> draining = records.draining();
    locked(() -> {
      known.forEach(node -> {
        Member member = new Member(node);
        member.draining(draining.contains(node.name()));
        members.put(node.name(), member);
      });
      for (Sandbox sandbox : live) {
        Member member = members.get(sandbox.node());
        if (member != null) {
          member.reserve(sandbox.id(), sandbox.size());
          member.hold(sandbox);
        }
      }
      return true;
    });
  }

  /** A node's newest stream is the one that counts; an older one is closed. */
  public void join(NodeRegistration node, NodeConnection connection) {
    records.put(node, clock.instant());
    Presence before =
        locked(() -> {
          Member member = members.computeIfAbsent(node.name(), _ -> new Member(node));
          Presence previous = member.presence();
          member.registration(node);
          member.presence(new Connected(connection, clock.instant(), Optional.empty()));
          return previous;
        });
    if (before instanceof Connected old) {
      old.connection().close("a newer stream of " + node.name() + " took over");
    }
    log.atInfo()
        .setMessage("node_connected")
        .addKeyValue("node", node.name())
        .addKeyValue("address", node.address())
        .addKeyValue("isolation", node.isolation().wireName())
        .addKeyValue("templates", node.templates())
        .log();
  }

  /** Ignored on a stream that is not the node's newest. */
  public void heartbeat(String node, NodeConnection connection, Heartbeat heartbeat) {
    locked(() -> {
      Member member = members.get(node);
      if (member != null
          && member.presence() instanceof Connected now
          && now.connection().equals(connection)) {
        member.presence(new Connected(connection, clock.instant(), Optional.of(heartbeat)));
      }
      return true;
    });
  }

  /** The stream ended. Ignored when it is not the node's newest. */
  public void leave(String node, NodeConnection connection) {
    boolean left =
        locked(() -> {
          Member member = members.get(node);
          if (member != null
              && member.presence() instanceof Connected now
              && now.connection().equals(connection)) {
            member.presence(new Gone());
            return true;
          }
          return false;
        });
    if (left) {
      try {
        records.left(node, clock.instant());
      } catch (RuntimeException e) {
        // Whoever looks for lost nodes then counts from when it finds the node missing.
        log.atWarn()
            .setMessage("node_gone_not_recorded")
            .addKeyValue("node", node)
            .setCause(e)
            .log();
      }
      log.atWarn().setMessage("node_gone").addKeyValue("node", node).log();
    }
  }

  /** Closes the streams that have been silent for too long. */
  public void dropSilent() {
    Instant oldest = clock.instant().minus(timeout);
    Map<String, NodeConnection> silent =
        locked(() -> {
          Map<String, NodeConnection> found = new TreeMap<>();
          members.forEach((name, member) -> {
            if (member.presence() instanceof Connected now && now.lastHeard().isBefore(oldest)) {
              found.put(name, now.connection());
            }
          });
          return found;
        });
    silent.forEach((name, connection) -> {
      leave(name, connection);
      connection.close("no heartbeat for " + timeout);
    });
  }

  public ClusterView view() {
    return locked(() -> {
      List<NodeView> views = new ArrayList<>(members.size());
      members.values().forEach(member -> views.add(member.view()));
      return new ClusterView(views);
    });
  }

  /** By name. */
  public List<NodeStatus> status() {
    return locked(() -> members.values().stream().map(Member::status).toList());
  }

  /** From now on nothing is placed there, or again; on record first. Empty for an unknown one. */
  public Optional<NodeStatus> drain(String node, boolean draining) {
    if (locked(() -> !members.containsKey(node))) {
      return Optional.empty();
    }
    records.drain(node, draining);
    log.atInfo()
        .setMessage(draining ? "node_drained" : "node_undrained")
        .addKeyValue("node", node)
        .log();
    Optional<NodeStatus> status =
        locked(() -> {
          Optional<Member> member = Optional.ofNullable(members.get(node));
          member.ifPresent(known -> known.draining(draining));
          return member.map(Member::status);
        });
    connection(node).ifPresent(NodeConnection::tellDraining);
    return status;
  }

  private Optional<NodeConnection> connection(String node) {
    return locked(() -> {
      Member member = members.get(node);
      return member != null && member.presence() instanceof Connected connected
          ? Optional.of(connected.connection())
          : Optional.empty();
    });
  }

  /** False for an unknown one. */
  public boolean isDraining(String node) {
    return locked(() -> {
      Member member = members.get(node);
      return member != null && member.draining();
    });
  }

  /** The node has made a template since it last said what it has. */
  public void offers(String node, String template) {
    locked(() -> {
      Member member = members.get(node);
      if (member != null) {
        member.offers(template);
      }
      return true;
    });
  }

  /** No node is to be thought to have it. */
  public void withdraw(String template) {
    locked(() -> {
      members.values().forEach(member -> member.withdraw(template));
      return true;
    });
  }

  /** False when the node no longer fits: the view that it was chosen on is old. */
  public boolean reserve(String node, String sandbox, SandboxSize size) {
    boolean reserved =
        locked(() -> {
          Member member = members.get(node);
          if (member == null || !member.view().fits(size)) {
            return false;
          }
          member.reserve(sandbox, size);
          return true;
        });
    (reserved ? placed : missed).increment();
    return reserved;
  }

  /** It holds at its node what its state needs from now on. */
  public void hold(Sandbox sandbox) {
    locked(() -> {
      Member member = members.get(sandbox.node());
      if (member != null) {
        member.hold(sandbox);
      }
      return true;
    });
  }

  /** Idempotent. */
  public void release(String node, String sandbox) {
    locked(() -> {
      Member member = members.get(node);
      if (member != null) {
        member.release(sandbox);
      }
      return true;
    });
  }

  /**
   * How to call a node.
   *
   * @throws Refusal NODE_UNAVAILABLE when it is known to be gone or was never known
   */
  public NodeLink link(String node) {
    return locked(() -> {
      Member member = members.get(node);
      boolean reachable =
          member != null
              && switch (member.presence()) {
                case Unseen _ -> true;
                case Connected _ -> true;
                case Gone _ -> false;
              };
      if (member == null || !reachable) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "node " + node + " is not connected");
      }
      @Nullable NodeLink link = member.link();
      if (link == null) {
        link = new NodeLink(node, dialer.apply(member.registration().socketAddress()), meters);
        member.link(link);
      }
      return link;
    });
  }

  public boolean isConnected(String node) {
    return locked(() -> {
      Member member = members.get(node);
      return member != null && member.presence() instanceof Connected;
    });
  }

  public int connected() {
    return count(Connected.class);
  }

  private int count(Class<? extends Presence> presence) {
    return locked(() ->
        (int)
            members.values().stream()
                .filter(member -> presence.isInstance(member.presence()))
                .count());
  }

  @Override
  public void close() {
    locked(() -> {
      members.values().forEach(Member::closeLink);
      return true;
    });
  }

  private <T> T locked(Supplier<T> work) {
    lock.lock();
    try {
      return work.get();
    } finally {
      lock.unlock();
    }
  }
}
