package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.broker.AttachmentSync;
import dev.cofferdam.gateway.broker.BrokerClient;
import dev.cofferdam.gateway.broker.DecisionLine;
import dev.cofferdam.gateway.dns.DnsAnswers;
import dev.cofferdam.gateway.event.Decisions;
import dev.cofferdam.gateway.event.EventSpool;
import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.event.Reporter;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.gateway.policy.AddressRules;
import dev.cofferdam.gateway.proxy.ConnectionMeters;
import dev.cofferdam.gateway.proxy.ExchangeMeters;
import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.gateway.proxy.Surroundings;
import dev.cofferdam.gateway.proxy.UpstreamProxy;
import dev.cofferdam.gateway.proxy.UpstreamsByLoop;
import dev.cofferdam.gateway.slot.PolicyLease;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.gateway.tls.KeyReservoir;
import dev.cofferdam.gateway.tls.SandboxCertificates;
import dev.cofferdam.gateway.tls.UpstreamTls;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.internal.v1.GrantedSecret;
import dev.cofferdam.kit.upstream.Cidr;
import dev.cofferdam.kit.upstream.HostsFile;
import dev.cofferdam.testkit.FreePorts;
import dev.cofferdam.testkit.SettableClock;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.Verdict;
import io.grpc.ManagedChannel;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.UnaryOperator;

/**
 * A whole gateway on loopback. Upstreams listen on 127.0.0.2, the gateway on 127.0.0.1 at the same
 * port, a sandbox's slot is an address of 127.0.1.0/24: only the destination that TPROXY would tell
 * is put in by hand.
 */
@SuppressWarnings("try") // closing the parts may throw anything
final class Harness implements AutoCloseable {
  private static final int PORT_TRIES = 20;

  static final String SLOT = "127.0.1.5";
  static final String SECOND_SLOT = "127.0.1.6";
  static final String PLACEHOLDER = "cofferdam_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0Uv4";
  static final String VALUE = "sk-live-0123456789/abc+def=XYZ";
  static final String OTHER = "cofferdam_" + "Z9y8X7w6V5u4T3s2R1q0P9o8N7m6L5k4J3i2H1g0Fe3";
  static final String OTHER_VALUE = "another-secret-value-98765";
  static final String WEAK = "cofferdam_" + "W0w1W2w3W4w5W6w7W8w9W0w1W2w3W4w5W6w7W8w9Wwe";

  final TestPki lineage = new TestPki("lineage");
  final TestPki public_;
  final FakeBroker broker;
  final TestUpstream upstream;
  final SettableClock clock = new SettableClock(Instant.now());
  final SlotTable slots = new SlotTable(() -> 0, clock);
  final AtomicReference<Long> nanos = new AtomicReference<>(0L);
  final AtomicReference<InetAddress> asked = new AtomicReference<>();
  final InetSocketAddress dns;
  final int port;
  final EventSpool spool;
  final SimpleMeterRegistry meters = new SimpleMeterRegistry();
  final Surroundings surroundings;
  final Listeners listeners;
  private final List<AutoCloseable> parts = new ArrayList<>();

  Harness(Path directory, boolean http2) throws Exception {
    this(directory, http2, limits -> limits, new InetSocketAddress("127.0.0.1", 9));
  }

  /**
   * @param changed what is to differ in the limits
   * @param resolver that the gateway asks
   */
  Harness(Path directory, boolean http2, UnaryOperator<Limits> changed, InetSocketAddress resolver)
      throws Exception {
    this(directory, http2, changed, resolver, new TestPki("public"), Optional.empty());
  }

  /**
   * @param authority of the upstream
   * @param proxy through which upstreams are reached
   */
  Harness(
      Path directory,
      boolean http2,
      UnaryOperator<Limits> changed,
      InetSocketAddress resolver,
      TestPki authority,
      Optional<UpstreamProxy> proxy)
      throws Exception {
    public_ = authority;
    KeyPair key = TestPki.newKey();
    upstream =
        own(
            new TestUpstream(
                new InetSocketAddress("127.0.0.2", FreePorts.next("127.0.0.1", "127.0.0.2")),
                key,
                http2,
                public_.leaf(
                    key.getPublic(),
                    Duration.ofHours(1),
                    "api.example.test",
                    "other.example.test",
                    "unpinned.example.test")));
    port = upstream.port();
    asked.set(InetAddress.getByName("198.18.77.1"));
    broker = own(new FakeBroker(lineage));
    broker.secret(PLACEHOLDER, VALUE);
    broker.secret(OTHER, OTHER_VALUE);
    broker.secret(WEAK, "short");
    broker.put(attachment(port).build());
    ExecutorService blocking = own(Executors.newVirtualThreadPerTaskExecutor());
    ManagedChannel channel = broker.channel();
    parts.add(channel::shutdownNow);
    BrokerClient client = new BrokerClient(channel, meters);
    spool = own(new EventSpool(directory.resolve("spool"), 64, "test"));
    Decisions decisions = new Decisions(spool, InstantSource.system(), meters);
    own(new Reporter(spool, decisions, new DecisionLine(client)));
    PolicyLease lease = new PolicyLease(nanos::get);
    Limits limits =
        changed.apply(
            new Limits(
                16 << 10,
                64 << 10,
                64,
                16,
                Duration.ofSeconds(2),
                Duration.ofSeconds(5),
                Duration.ofSeconds(5),
                Duration.ofSeconds(20)));
    HostsFile hosts =
        HostsFile.parse(
            List.of(
                "127.0.0.2 api.example.test other.example.test self.example.test",
                // Nobody listens at the first.
                "127.0.0.6 two.example.test",
                "127.0.0.2 two.example.test",
                "127.0.0.1 mesh.example.test",
                "127.0.0.2 proxy.example.test"));
    Faults faults = new Faults(meters, System::nanoTime);
    UpstreamsByLoop upstreams =
        new UpstreamsByLoop(
            new UpstreamTls(Optional.of(public_.writeRoot(directory))),
            new AddressRules(hosts, List.of(Cidr.parse("127.0.0.4/31")), 7400, 7480, _ -> false),
            List.of(resolver),
            limits,
            InstantSource.system(),
            proxy,
            new ConnectionMeters(meters, faults));
    SandboxCertificates certificates =
        new SandboxCertificates(
            client::issue, own(new KeyReservoir()), InstantSource.system(), blocking);
    surroundings =
        new Surroundings(
            slots,
            lease,
            decisions,
            certificates,
            client,
            upstreams,
            limits,
            blocking,
            new SecureRandom(),
            meters,
            new ExchangeMeters(meters),
            faults);
    listeners = own(new Listeners(limits));
    AttachmentSync sync =
        own(new AttachmentSync(client, slots, lease, certificates::prepare, "test"));
    sync.awaitFirst();
    listen("127.0.0.1", port);
    dns = listenDns(listeners, new DnsAnswers(slots, decisions, faults));
  }

  /** The kernel chooses a port that is free for UDP; for TCP somebody else may have it. */
  private static InetSocketAddress listenDns(Listeners listeners, DnsAnswers answers) {
    for (int attempt = 1; ; attempt++) {
      try {
        return listeners.listenDns(new InetSocketAddress("127.0.0.1", 0), answers);
      } catch (Exception e) {
        if (attempt == PORT_TRIES) {
          throw e;
        }
      }
    }
  }

  /** Another listener, whose guests ask for a port. */
  int listen(String address, int askedPort) {
    return listeners
        .listen(
            new InetSocketAddress(address, askedPort == port ? port : 0),
            surroundings,
            _ -> new InetSocketAddress(asked.get(), askedPort))
        .getPort();
  }

  static EgressRule rule(String host, int... ports) {
    EgressRule.Builder rule = EgressRule.newBuilder().setHost(host);
    for (int p : ports) {
      rule.addPorts(p);
    }
    return rule.build();
  }

  static Attachment.Builder attachment(int port) {
    return Attachment.newBuilder()
        .setSandbox("sb-1")
        .setTenant("default")
        .setLineage("ln-1")
        .setGeneration(1)
        .setEpoch(1)
        .setNode("node-1")
        .setSlotAddress(SLOT)
        .setPolicyRevision(1)
        .setPolicy(
            EgressPolicy.newBuilder()
                .addRules(rule("api.example.test", port, 80, 7410))
                .addRules(rule("other.example.test", port, 80))
                .addRules(rule("self.example.test", port))
                .addRules(rule("mesh.example.test", 7410))
                .addRules(rule("*.nowhere.example.test", port)))
        .addSecrets(granted("api-key", PLACEHOLDER, "api.example.test", false))
        .addSecrets(granted("other-key", OTHER, "other.example.test", false))
        .addSecrets(granted("weak-key", WEAK, "api.example.test", true));
  }

  static GrantedSecret granted(String name, String placeholder, String host, boolean weak) {
    return GrantedSecret.newBuilder()
        .setGrant("gr-" + name)
        .setSecret(name)
        .setPlaceholderSha256(ByteString.copyFrom(PlaceholderHash.of(placeholder).bytes()))
        .setWeak(weak)
        .addBindings(
            GrantedBinding.newBuilder()
                .addHosts(host)
                .addTargets("header:authorization")
                .addTargets("header:x-api-key")
                .addTargets("basic:password")
                .setOccurrences(1))
        .build();
  }

  /** Puts these rules into force in place of all others. */
  void policy(EgressRule... rules) throws Exception {
    apply(
        attachment(port)
            .setPolicyRevision(current().revision() + 1)
            .setPolicy(EgressPolicy.newBuilder().addAllRules(List.of(rules)))
            .build());
  }

  /** Returns once it is in force. */
  void apply(Attachment attachment) throws Exception {
    broker.put(attachment);
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (current().revision() != attachment.getPolicyRevision()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("the change never came into force");
      }
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** A second sandbox with the same rules and secrets at {@link #SECOND_SLOT}. */
  void attachSecond() throws Exception {
    InetAddress second = InetAddress.getByName(SECOND_SLOT);
    broker.put(attachment(port).setSandbox("sb-2").setSlotAddress(SECOND_SLOT).build());
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (slots.at(second).isEmpty()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("the second sandbox was never attached");
      }
      LockSupport.parkNanos(1_000_000);
    }
  }

  private dev.cofferdam.gateway.slot.Attachment current() throws IOException {
    return slots.at(InetAddress.getByName(SLOT)).orElseThrow().attachment();
  }

  RawGuest guest() throws IOException {
    return new RawGuest(SLOT, new InetSocketAddress("127.0.0.1", port), lineage);
  }

  private <T extends AutoCloseable> T own(T part) {
    parts.add(part);
    return part;
  }

  @Override
  public void close() throws Exception {
    for (AutoCloseable part : parts.reversed()) {
      part.close();
    }
  }

  /** Asks over a TLS connection of its own. */
  Answer ask(String host, byte[] request) throws IOException {
    try (RawGuest guest = guest().tls(host)) {
      return guest.send(request).answer();
    }
  }

  /** What the upstream received, for a request that was let through as the only one. */
  TestUpstream.Received only(Answer answer) {
    assertThat(answer.status()).as(answer.toString()).isEqualTo(200);
    assertThat(upstream.received).hasSize(1);
    return upstream.received.getFirst();
  }

  /** A request was refused and told of, no value was given, and no placeholder was written down. */
  void refused(Answer answer, int status, String reason) throws Exception {
    assertThat(answer.reason()).as(answer.toString()).isEqualTo(reason);
    assertThat(answer.status()).isEqualTo(status);
    assertThat(upstream.received).isEmpty();
    assertThat(broker.materialised).isEmpty();
    AuditEvent event =
        broker.event(e ->
            e.getVerdict() == Verdict.VERDICT_DENIED
                && e.getReason().name().equalsIgnoreCase("EGRESS_REASON_" + reason));
    assertThat(event.toString()).doesNotContain("cofferdam_");
  }
}
