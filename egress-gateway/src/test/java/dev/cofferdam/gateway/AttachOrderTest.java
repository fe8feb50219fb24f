package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.google.common.net.InetAddresses;
import dev.cofferdam.gateway.api.GatewayEndpoint;
import dev.cofferdam.gateway.broker.AttachmentSync;
import dev.cofferdam.gateway.broker.BrokerClient;
import dev.cofferdam.gateway.slot.PolicyLease;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.internal.v1.AttachSlotRequest;
import dev.cofferdam.internal.v1.AttachSlotResponse;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.DetachSlotRequest;
import dev.cofferdam.internal.v1.GatewayServiceGrpc;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.kit.server.RpcServer;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.ManagedChannel;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Answers about tickets come in any order; who is in a slot follows the broker's order alone. */
@SuppressWarnings("try") // closing the parts may throw anything
final class AttachOrderTest {
  private final List<AutoCloseable> parts = new ArrayList<>();
  private final SlotTable slots = new SlotTable(() -> 0, InstantSource.system());
  private FakeBroker broker;
  private GatewayServiceGrpc.GatewayServiceFutureStub gateway;

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    MeshTls own = own(MeshTls.open(files(mesh, "egress-gateway", "gateway-1")));
    MeshTls node = own(MeshTls.open(files(mesh, "node-agent", "node-1")));
    SimpleMeterRegistry meters = new SimpleMeterRegistry();
    broker = own(new FakeBroker(new TestPki("lineage")));
    ManagedChannel toBroker = broker.channel();
    parts.add(toBroker::shutdownNow);
    BrokerClient client = new BrokerClient(toBroker, meters);
    PolicyLease lease = new PolicyLease(System::nanoTime);
    AttachmentSync sync = own(new AttachmentSync(client, slots, lease, _ -> {}, "test"));
    sync.awaitFirst();
    RpcServer server =
        own(
            RpcServer.builder("control", new InetSocketAddress("127.0.0.1", 0))
                .tls(own.server(ClientAuth.REQUIRE), own.trustDomain())
                .rules(GatewayEndpoint.rules())
                .meters(meters)
                .service(new GatewayEndpoint(client, slots, Duration.ofMillis(300)))
                .start());
    ManagedChannel fromNode =
        new MeshChannels(node)
            .to(new InetSocketAddress("127.0.0.1", server.port()), "egress-gateway");
    parts.add(fromNode::shutdownNow);
    gateway = GatewayServiceGrpc.newFutureStub(fromNode);
  }

  @AfterEach
  void stop() throws Exception {
    for (AutoCloseable part : parts.reversed()) {
      part.close();
    }
  }

  private <T extends AutoCloseable> T own(T part) {
    parts.add(part);
    return part;
  }

  private static TlsFiles files(TestCertificates mesh, String service, String instance) {
    TestCertificates.PeerFiles peer = mesh.peer(service, instance);
    return new TlsFiles(
        peer.certificate(), peer.key(), peer.authority(), TestCertificates.TRUST_DOMAIN);
  }

  private static Attachment attachment(String sandbox, long epoch) {
    return Harness.attachment(443).setSandbox(sandbox).setEpoch(epoch).build();
  }

  private Future<AttachSlotResponse> attach(String sandbox, String ticket) {
    return gateway.attachSlot(
        AttachSlotRequest.newBuilder()
            .setSandbox(sandbox)
            .setSlotAddress(Harness.SLOT)
            .setTicket(ticket)
            .build());
  }

  private String occupant() throws Exception {
    return slots
        .at(InetAddress.getByName(Harness.SLOT))
        .map(slot -> slot.attachment().sandbox())
        .orElse("nobody");
  }

  private void awaitOccupant(String sandbox) throws Exception {
    eventually(() -> {
      try {
        return occupant().equals(sandbox);
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    });
  }

  private static void eventually(BooleanSupplier condition) {
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("it never came to be").isLessThan(end);
      LockSupport.parkNanos(1_000_000);
    }
  }

  private static Throwable failure(Future<?> call) {
    return Objects.requireNonNull(catchThrowable(() -> call.get(20, TimeUnit.SECONDS)).getCause());
  }

  @Test
  void whomTheBrokerDetachesIsGone() throws Exception {
    broker.put(attachment("sb-a", 1));
    awaitOccupant("sb-a");

    broker.detach("sb-a");

    awaitOccupant("nobody");
    assertThat(broker.streams).as("by its word, not by a stream anew").hasValue(1);
  }

  @AttackRow(53)
  @Test
  void anAnswerThatComesAfterTheSlotWentToAnotherChangesNothing() throws Exception {
    broker.tickets.put("ticket-a", attachment("sb-a", 7));
    broker.holdsRedeemed = true;
    Future<AttachSlotResponse> late = attach("sb-a", "ticket-a");
    FakeBroker.Redeemed redeemed = broker.redeemed.take();
    broker.detach("sb-a");
    broker.put(attachment("sb-b", 1));
    awaitOccupant("sb-b");

    redeemed.answer();

    assertThat(Refusals.reason(failure(late))).contains(ErrorReason.ERROR_REASON_STALE_EPOCH);
    assertThat(occupant()).isEqualTo("sb-b");
  }

  @AttackRow(53)
  @Test
  void anOlderEpochIsAnsweredWithAnError() throws Exception {
    broker.tickets.put("ticket", attachment("sb-a", 7));
    broker.holdsRedeemed = true;
    Future<AttachSlotResponse> late = attach("sb-a", "ticket");
    FakeBroker.Redeemed redeemed = broker.redeemed.take();
    broker.put(attachment("sb-a", 8));
    eventually(() -> at(Harness.SLOT).map(slot -> slot.attachment().epoch() == 8).orElse(false));

    redeemed.answer();

    assertThat(Refusals.reason(failure(late))).contains(ErrorReason.ERROR_REASON_STALE_EPOCH);
  }

  private Optional<Slot> at(String address) {
    return slots.at(InetAddresses.forString(address));
  }

  @AttackRow(53)
  @Test
  void aTicketOfAnotherSandboxAttachesNothing() throws Exception {
    broker.tickets.put("ticket", attachment("sb-other", 1));

    assertThat(Refusals.reason(failure(attach("sb-a", "ticket"))))
        .contains(ErrorReason.ERROR_REASON_TICKET_INVALID);

    assertThat(broker.detached).containsExactly("sb-other");
    awaitOccupant("nobody");
  }

  @Test
  void whatANodeHasEndedTheStreamCannotBringBackBeforeTheBrokerHeardOfIt() {
    slots.detach("sb-a", "node-1", 3);
    assertThat(broker.attachments).isEmpty();
    broker.put(attachment("sb-a", 3));
    broker.put(attachment("sb-b", 1).toBuilder().setSlotAddress("127.0.1.6").build());
    // The stream is in order: what came before it has been read.
    eventually(() -> at("127.0.1.6").isPresent());
    assertThat(at(Harness.SLOT)).isEmpty();

    slots.left("sb-a", "node-1");
    broker.put(attachment("sb-a", 3));
    eventually(() -> at(Harness.SLOT).isPresent());
  }

  @AttackRow(53)
  @Test
  void aNodeEndsNothingThatIsOnAnother() throws Exception {
    broker.put(attachment("sb-a", 1).toBuilder().setNode("node-2").build());
    awaitOccupant("sb-a");

    detach("sb-a", Long.MAX_VALUE);

    assertThat(occupant()).isEqualTo("sb-a");
    // Nor does it keep one away that has yet to come.
    slots.detach("sb-b", "node-1", Long.MAX_VALUE);
    broker.put(attachment("sb-b", 1).toBuilder().setNode("node-2").build());
    awaitOccupant("sb-b");
  }

  /** One that was long under way: the sandbox was assigned anew, to the same node and slot. */
  @AttackRow(53)
  @Test
  void theEndOfAnEarlierAssignmentIsNotThatOfALater() throws Exception {
    broker.put(attachment("sb-a", 4));
    awaitOccupant("sb-a");

    detach("sb-a", 3);

    assertThat(occupant()).isEqualTo("sb-a");
  }

  @Test
  void theUsualOrderAttachesAndDetaches() throws Exception {
    broker.tickets.put("ticket", attachment("sb-a", 1));

    assertThat(attach("sb-a", "ticket").get(20, TimeUnit.SECONDS).getPolicyRevision()).isEqualTo(1);
    assertThat(occupant()).isEqualTo("sb-a");

    detach("sb-a", 1);
    assertThat(occupant()).isEqualTo("nobody");
  }

  /** By node-1. */
  private void detach(String sandbox, long epoch) throws Exception {
    var _ =
        gateway
            .detachSlot(
                DetachSlotRequest.newBuilder()
                    .setSandbox(sandbox)
                    .setSlotAddress(Harness.SLOT)
                    .setEpoch(epoch)
                    .build())
            .get(20, TimeUnit.SECONDS);
  }
}
