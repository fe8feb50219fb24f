package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.Verdict;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Connections whose bytes are relayed, to an address that DNS gave for a name. */
final class RelayTest {
  private Harness harness;
  private ServerSocket upstream;

  @SuppressWarnings("NullAway.Init") // before each test
  RelayTest() {}

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
    upstream = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.2"));
    upstream.setSoTimeout(60_000);
  }

  @AfterEach
  void stop() throws Exception {
    upstream.close();
    harness.close();
  }

  /** From an address that belongs to the name. */
  private RawGuest guest(String name) throws Exception {
    EgressRule rule = Harness.rule(name, upstream.getLocalPort());
    harness.policy(rule.toBuilder().setPassthrough(true).build());
    harness.asked.set(
        harness
            .slots
            .at(InetAddress.getByName(Harness.SLOT))
            .orElseThrow()
            .names()
            .addressOf((Host.Name) Host.parse(name).orElseThrow())
            .orElseThrow());
    int listener = harness.listen("127.0.0.1", upstream.getLocalPort());
    return new RawGuest(
        Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.public_);
  }

  /**
   * @param first what the guest says, in hexadecimal
   */
  record Refused(String first, EgressReason reason) {}

  static List<Refused> refused() throws Exception {
    return List.of(
        // A ServerHello, a record of another version, and one that ends before its message does.
        new Refused("160301000402000000", EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED),
        new Refused("160201000401000000", EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED),
        new Refused("160301000601000002ffff", EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED),
        new Refused(
            HexFormat.of().formatHex(ClientHellos.of("other.example.test")),
            EgressReason.EGRESS_REASON_HOST_MISMATCH),
        // Nobody can tell what name is inside.
        new Refused(
            HexFormat.of().formatHex(ClientHellos.withEncrypted("api.example.test")),
            EgressReason.EGRESS_REASON_HOST_MISMATCH));
  }

  @AttackRow(5)
  @ParameterizedTest
  @MethodSource("refused")
  void whatDoesNotSpeakToTheNameIsDeniedAndToldOnce(Refused refused) throws Exception {
    try (RawGuest guest = guest("api.example.test");
        Socket accepted = upstream.accept()) {
      assertThat(guest.send(HexFormat.of().parseHex(refused.first())).closed()).isTrue();
      assertThat(accepted.getInputStream().readAllBytes()).isEmpty();
    }
    try (RawGuest stranger =
        new RawGuest(
            "127.0.1.99", new InetSocketAddress("127.0.0.1", harness.port), harness.lineage)) {
      assertThat(stranger.closed()).isTrue();
    }
    // Told later, so everything about the relay was told before.
    harness.broker.event(e -> e.getReason() == EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
    List<AuditEvent> told =
        harness.broker.reports.stream()
            .map(report -> report.getEvent())
            .filter(e -> e.getHost().equals("api.example.test"))
            .toList();
    assertThat(told).hasSize(1);
    assertThat(told.getFirst().getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(told.getFirst().getReason()).isEqualTo(refused.reason());
  }

  @Test
  void aClientHelloForTheNameIsRelayedAsItIs() throws Exception {
    byte[] hello = ClientHellos.of("api.example.test");
    try (RawGuest guest = guest("api.example.test");
        Socket accepted = upstream.accept()) {
      guest.send(hello);
      assertThat(accepted.getInputStream().readNBytes(hello.length)).isEqualTo(hello);
    }
  }

  /** Where no address tells the name, so that the ClientHello is all there is. */
  @AttackRow(4)
  @Test
  void anEncryptedClientHelloIsNotRelayedByItsOuterName() throws Exception {
    EgressRule rule = Harness.rule("api.example.test", harness.port);
    harness.policy(rule.toBuilder().setPassthrough(true).build());
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(ClientHellos.withEncrypted("api.example.test")).closed()).isTrue();
    }
    AuditEvent event = harness.broker.event(e -> e.getHost().equals("api.example.test"));
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_SNI_MISSING);
    assertThat(harness.upstream.connections).hasValue(0);
  }

  @Test
  void aDeadAddressOfTheNameIsPassedOver() throws Exception {
    try (RawGuest guest = guest("two.example.test");
        Socket accepted = upstream.accept()) {
      accepted
          .getOutputStream()
          .write("the server speaks first\n".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
      assertThat(guest.until("\n")).isEqualTo("the server speaks first\n");
    }
  }
}
