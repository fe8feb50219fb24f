package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assertions.fail;

import dev.cofferdam.gateway.broker.BrokerClient;
import dev.cofferdam.internal.v1.AttachSlotRequest;
import dev.cofferdam.internal.v1.DetachSlotRequest;
import dev.cofferdam.internal.v1.GatewayServiceGrpc;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.testkit.FreePorts;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.buffer.AbstractByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.UnpooledDirectByteBuf;
import io.netty.buffer.UnpooledHeapByteBuf;
import io.netty.channel.unix.Socket;
import io.netty.handler.ssl.ClientAuth;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The service as it runs: inherited sockets, mutual TLS on the mesh, nothing put in by hand. */
final class GatewayAppTest {
  @TempDir Path directory;
  private final TestPki lineage = new TestPki("lineage");
  private final TestPki authority = new TestPki("public");

  private static TlsFiles files(TestCertificates mesh, String service, String instance) {
    TestCertificates.PeerFiles peer = mesh.peer(service, instance);
    return new TlsFiles(
        peer.certificate(), peer.key(), peer.authority(), TestCertificates.TRUST_DOMAIN);
  }

  /** In the place of 198.18.0.1:53. */
  private InetSocketAddress dns = new InetSocketAddress(0);

  private InheritedSockets sockets(int port) throws IOException {
    Socket tcp = Socket.newSocketStream();
    tcp.bind(new InetSocketAddress("127.0.0.1", port));
    tcp.listen(16);
    Socket udp = Socket.newSocketDgram();
    udp.bind(new InetSocketAddress("127.0.0.1", 0));
    dns = udp.localAddress();
    Socket dnsTcp = Socket.newSocketStream();
    dnsTcp.bind(new InetSocketAddress("127.0.0.1", 0));
    dnsTcp.listen(16);
    return new InheritedSockets(tcp.intValue(), udp.intValue(), dnsTcp.intValue());
  }

  private GatewayConfig config(TlsFiles tls, int broker, int control, int admin) throws Exception {
    return new GatewayConfig(
        new InetSocketAddress("127.0.0.1", control),
        new InetSocketAddress("127.0.0.1", admin),
        tls,
        new InetSocketAddress("127.0.0.1", broker),
        directory.resolve("state"),
        Optional.of(authority.writeRoot(directory)),
        Optional.of(Files.writeString(directory.resolve("hosts"), "127.0.0.2 api.example.test\n")),
        List.of(),
        List.of(),
        65536,
        65536,
        16,
        16,
        Duration.ofSeconds(5),
        Duration.ofSeconds(5),
        Duration.ofSeconds(5),
        Duration.ofSeconds(5),
        100,
        7400,
        7480,
        Optional.empty(),
        Optional.empty());
  }

  @Test
  void aNodeAttachesASlotByTicketAndItsGuestGetsOut() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    KeyPair key = TestPki.newKey();
    int control = FreePorts.next();
    int admin = FreePorts.next();
    try (MeshTls brokerTls = MeshTls.open(files(mesh, "vault-broker", "broker-1"));
        MeshTls nodeTls = MeshTls.open(files(mesh, "node-agent", "node-1"));
        MeshTls otherTls = MeshTls.open(files(mesh, "scheduler-svc", "scheduler-1"));
        FakeBroker broker =
            new FakeBroker(lineage, b -> b.sslContext(brokerTls.server(ClientAuth.REQUIRE)));
        TestUpstream upstream =
            new TestUpstream(
                new InetSocketAddress("127.0.0.2", 0),
                key,
                true,
                authority.leaf(key.getPublic(), Duration.ofHours(1), "api.example.test"));
        GatewayApp app =
            GatewayApp.start(
                config(files(mesh, "egress-gateway", "gateway-1"), broker.port(), control, admin),
                Optional.of(sockets(upstream.port())),
                why -> fail("guests cannot be let in", why))) {
      broker.secret(Harness.PLACEHOLDER, Harness.VALUE);
      broker.tickets.put("ticket-1", Harness.attachment(upstream.port()).build());
      AttachSlotRequest attach =
          AttachSlotRequest.newBuilder()
              .setSandbox("sb-1")
              .setSlotAddress(Harness.SLOT)
              .setTicket("ticket-1")
              .build();
      InetSocketAddress address = new InetSocketAddress("127.0.0.1", control);

      ManagedChannel stranger = new MeshChannels(otherTls).to(address, "egress-gateway");
      assertThat(
              Status.fromThrowable(
                      catchThrowable(
                          () -> GatewayServiceGrpc.newBlockingStub(stranger).attachSlot(attach)))
                  .getCode())
          .isEqualTo(Status.Code.PERMISSION_DENIED);
      stranger.shutdownNow();

      ManagedChannel node = new MeshChannels(nodeTls).to(address, "egress-gateway");
      var gateway = GatewayServiceGrpc.newBlockingStub(node);
      assertThat(gateway.attachSlot(attach).getPolicyRevision()).isEqualTo(1);
      // A ticket is good once.
      assertThat(Refusals.reason(catchThrowable(() -> gateway.attachSlot(attach))))
          .contains(ErrorReason.ERROR_REASON_TICKET_INVALID);

      assertThat(asksDns()).startsWith(0, 1).containsSubsequence(0, 4, 198 - 256);

      try (RawGuest guest =
          new RawGuest(Harness.SLOT, new InetSocketAddress("127.0.0.1", upstream.port()), lineage)
              .tls("api.example.test")) {
        Answer answer =
            guest
                .send(
                    "GET /echo HTTP/1.1\r\nHost: api.example.test\r\nAuthorization: Bearer "
                        + Harness.PLACEHOLDER
                        + "\r\n\r\n")
                .answer();
        assertThat(answer.status()).isEqualTo(200);
        assertThat(upstream.received.getFirst().header("authorization"))
            .isEqualTo("Bearer " + Harness.VALUE);
        assertThat(broker.event(e -> e.getPath().equals("/echo")).getSandbox()).isEqualTo("sb-1");

        gateway.detachSlot(
            DetachSlotRequest.newBuilder()
                .setSandbox("sb-1")
                .setSlotAddress(Harness.SLOT)
                .setEpoch(1)
                .build());
        assertThat(guest.closed()).isTrue();
        assertThat(broker.detached).containsExactly("sb-1");
      }
      node.shutdownNow();
      assertThat(app).isNotNull();
      assertThat(page(admin, "/readyz")).contains("attachments: ready");
      assertThat(page(admin, "/metrics"))
          .contains("cofferdam_gateway_decisions_total")
          .contains("cofferdam_gateway_requests_seconds_count{verdict=\"allowed\"} 1")
          .contains("cofferdam_gateway_materialise_seconds_count{outcome=\"given\"} 1")
          .contains("cofferdam_gateway_substitutions_total 1.0")
          .contains("cofferdam_gateway_scrubs_total")
          .contains(
              "cofferdam_gateway_data_total{detector=\"credentials\",outcome=\"refused\"} 0.0")
          .contains("cofferdam_gateway_body_bytes_total{direction=\"out\"}")
          .contains("cofferdam_gateway_sandboxes 0.0")
          .contains("cofferdam_gateway_spool_lost_total 0.0")
          .contains("cofferdam_gateway_spool_capacity")
          .contains("cofferdam_gateway_spool_depth")
          .contains("cofferdam_gateway_connections")
          .contains("cofferdam_gateway_upstream_connections")
          .contains("cofferdam_gateway_added_seconds_count{kind=\"secret\"} 1")
          .contains("cofferdam_gateway_added_seconds_count{kind=\"plain\"} 0")
          .contains(
              "cofferdam_gateway_handshakes_seconds_count{direction=\"in\",outcome=\"done\"} 1")
          .contains(
              "cofferdam_gateway_handshakes_seconds_count{direction=\"out\",outcome=\"done\"} 1")
          .doesNotContain(Harness.VALUE);
    }
  }

  /** What comes back from the broker is a value. */
  @Test
  void aChannelReadsIntoTheBuffersThatItWasGiven() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    AtomicInteger taken = new AtomicInteger();
    ByteBufAllocator counting =
        new AbstractByteBufAllocator(true) {
          @Override
          protected ByteBuf newHeapBuffer(int initialCapacity, int maxCapacity) {
            taken.incrementAndGet();
            return new UnpooledHeapByteBuf(this, initialCapacity, maxCapacity);
          }

          @Override
          protected ByteBuf newDirectBuffer(int initialCapacity, int maxCapacity) {
            taken.incrementAndGet();
            return new UnpooledDirectByteBuf(this, initialCapacity, maxCapacity);
          }

          @Override
          public boolean isDirectBufferPooled() {
            return false;
          }
        };
    try (MeshTls brokerTls = MeshTls.open(files(mesh, "vault-broker", "broker-1"));
        MeshTls own = MeshTls.open(files(mesh, "egress-gateway", "gateway-1"));
        FakeBroker broker =
            new FakeBroker(lineage, b -> b.sslContext(brokerTls.server(ClientAuth.REQUIRE)))) {
      ManagedChannel channel =
          new MeshChannels(own, counting)
              .to(new InetSocketAddress("127.0.0.1", broker.port()), "vault-broker");
      new BrokerClient(channel, new SimpleMeterRegistry()).detach("sb-1", "node-1", 1);
      channel.shutdownNow();
    }
    assertThat(taken).hasPositiveValue();
  }

  /**
   * After a restart, say: who waits at the door meanwhile is let in under the policy, not before.
   */
  @Test
  void untilTheBrokerHasToldEverythingNobodyIsLetIn() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    KeyPair key = TestPki.newKey();
    int admin = FreePorts.next();
    try (MeshTls brokerTls = MeshTls.open(files(mesh, "vault-broker", "broker-1"));
        FakeBroker broker =
            new FakeBroker(lineage, b -> b.sslContext(brokerTls.server(ClientAuth.REQUIRE)));
        TestUpstream upstream =
            new TestUpstream(
                new InetSocketAddress("127.0.0.2", 0),
                key,
                false,
                authority.leaf(key.getPublic(), Duration.ofHours(1), "api.example.test"))) {
      broker.silent = true;
      broker.put(Harness.attachment(upstream.port()).build());
      try (GatewayApp app =
              GatewayApp.start(
                  config(
                      files(mesh, "egress-gateway", "gateway-1"),
                      broker.port(),
                      FreePorts.next(),
                      admin),
                  Optional.of(sockets(upstream.port())),
                  why -> fail("guests cannot be let in", why));
          RawGuest guest =
              new RawGuest(
                  Harness.SLOT, new InetSocketAddress("127.0.0.1", upstream.port()), lineage)) {
        assertThat(app).isNotNull();
        assertThat(page(admin, "/readyz"))
            .contains("attachments: the broker has not told who is attached")
            .contains("listeners: no guest is let in yet");
        CompletableFuture<Answer> answer =
            CompletableFuture.supplyAsync(() -> {
              try {
                return guest
                    .tls("api.example.test")
                    .send("GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
                    .answer();
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
        assertThat(upstream.connections).hasValue(0);
        assertThat(answer).isNotDone();

        broker.speak();

        assertThat(answer.get(20, TimeUnit.SECONDS).status()).isEqualTo(200);
      }
    }
  }

  @Test
  void aSocketThatCannotBeAdoptedFailsTheProcess() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    CompletableFuture<Throwable> failed = new CompletableFuture<>();
    int admin = FreePorts.next();
    try (MeshTls brokerTls = MeshTls.open(files(mesh, "vault-broker", "broker-1"));
        FakeBroker broker =
            new FakeBroker(lineage, b -> b.sslContext(brokerTls.server(ClientAuth.REQUIRE)));
        GatewayApp app =
            GatewayApp.start(
                config(
                    files(mesh, "egress-gateway", "gateway-1"),
                    broker.port(),
                    FreePorts.next(),
                    admin),
                // No process has that many.
                Optional.of(new InheritedSockets(1 << 20, (1 << 20) + 1, (1 << 20) + 2)),
                failed::complete)) {
      assertThat(failed.get(20, TimeUnit.SECONDS)).isNotNull();
      assertThat(page(admin, "/readyz")).contains("listeners: no guest is let in yet");
      assertThat(app).isNotNull();
    }
  }

  private byte[] asksDns() throws IOException {
    byte[] query =
        "\0\1\1\0\0\1\0\0\0\0\0\0\3api\7example\4test\0\0\1\0\1"
            .getBytes(StandardCharsets.ISO_8859_1);
    try (DatagramSocket socket = new DatagramSocket(new InetSocketAddress(Harness.SLOT, 0))) {
      socket.setSoTimeout(60_000);
      socket.send(new DatagramPacket(query, query.length, dns));
      DatagramPacket answer = new DatagramPacket(new byte[512], 512);
      socket.receive(answer);
      return Arrays.copyOf(answer.getData(), answer.getLength());
    }
  }

  private static String page(int port, String path) throws Exception {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(
              HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path)).build(),
              HttpResponse.BodyHandlers.ofString())
          .body();
    }
  }
}
