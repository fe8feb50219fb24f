package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Names and authority: who a request says that it is for. */
final class NameAttackTest extends AttackSuite {
  @AttackRow(1)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "other.example.test",
        "OTHER.EXAMPLE.TEST.",
        "evil.test",
        "x.api.example.test",
        "api.example.test.evil.test",
        "api.example.test:1"
      })
  void anAllowedServerNameAndAnotherHost(String host) throws Exception {
    refused(ask("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), 421, "host_mismatch");
  }

  static List<String> hosts() {
    return List.of(
        "GET http://other.example.test/ HTTP/1.1\r\n" + HOST + "\r\n",
        "GET / HTTP/1.1\r\n" + HOST + HOST + "\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@api.example.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: api.example.test\r\nhost: other.example.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: api.example.test, other.example.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: api.example.test/x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: api.example.test:443:443\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user:pw@api.example.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: api..example.test\r\n\r\n",
        "GET api.example.test HTTP/1.1\r\n" + HOST + "\r\n",
        "GET * HTTP/1.1\r\n" + HOST + "\r\n",
        "GET https://api.example.test/ HTTP/1.1\r\n" + HOST + "\r\n");
  }

  @AttackRow(2)
  @ParameterizedTest
  @MethodSource("hosts")
  void aRequestThatNamesNoOneHost(String request) throws Exception {
    // Whether the connection ends too depends on whether the end of the request is known.
    refused(ask(request), 400, "malformed_request");
  }

  /** However the guest spells it, the upstream is told what was judged. */
  @AttackRow({2, 23})
  @ParameterizedTest
  @ValueSource(
      strings = {
        "API.Example.TEST",
        "api.example.test.",
        "api.example.test:",
        "Api.Example.Test.:"
      })
  void theNameLeavesInOneSpelling(String host) throws Exception {
    assertThat(ask("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status()).isEqualTo(200);

    assertThat(harness.upstream.received.getFirst().header("host")).isEqualTo("api.example.test");
  }

  @AttackRow(4)
  @Test
  void noServerName() throws Exception {
    // A ClientHello of TLS 1.2 without extensions.
    byte[] hello =
        HexFormat.of()
            .parseHex("160301002d010000290303" + "00".repeat(32) + "00" + "0002c02b" + "0100");
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(hello).closed()).isTrue();
    }
    AuditEvent event = harness.broker.event(e -> e.getProtocol().equals("tls"));
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_SNI_MISSING);
    nothingLeft();
  }

  @AttackRow(4)
  @ParameterizedTest
  @ValueSource(strings = {"203.0.113.9", "0x7f.1", "2130706433"})
  void anAddressAsServerName(String name) throws Exception {
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(ClientHellos.of(name)).closed()).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getHost().equals(name)).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_SNI_MISSING);
    nothingLeft();
  }

  /** Browsers send it to every server; the outer name is judged, the inner one leads nowhere. */
  @AttackRow(4)
  @Test
  void anEncryptedClientHelloIsIgnoredWhereTlsIsTerminated() throws Exception {
    try (RawGuest guest = harness.guest()) {
      // A handshake record: an alert would be 21.
      guest.send(ClientHellos.withEncrypted("api.example.test")).until("\u0016\u0003\u0003");
    }
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(ClientHellos.withEncrypted("evil.example.test")).closed()).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getHost().equals("evil.example.test")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED);
    nothingLeft();
  }

  @AttackRow(5)
  @ParameterizedTest
  @ValueSource(strings = {"93.184.216.34", "169.254.169.254", "127.0.0.1", "10.0.0.1"})
  void theGuestsAddressIsNoAuthority(String address) throws Exception {
    harness.asked.set(InetAddress.getByName(address));

    assertThat(ask("GET / HTTP/1.1\r\n" + HOST + "\r\n").status()).isEqualTo(200);

    assertThat(harness.upstream.received).hasSize(1);
  }

  @AttackRow(5)
  @Test
  void anAddressOfAnotherNameIsAMismatch() throws Exception {
    var slot = harness.slots.at(InetAddress.getByName(Harness.SLOT)).orElseThrow();
    var name =
        (dev.cofferdam.gateway.policy.Host.Name)
            dev.cofferdam.gateway.policy.Host.parse("other.example.test").orElseThrow();
    harness.asked.set(slot.names().addressOf(name).orElseThrow());

    try (RawGuest guest = harness.guest()) {
      assertThatThrownBy(() -> guest.tls("api.example.test")).isInstanceOf(IOException.class);
    }
    assertThat(harness.broker.event(e -> e.getProtocol().equals("tls")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_MISMATCH);
    nothingLeft();
  }

  @AttackRow(23)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "nowhere.example.test",
        "evilnowhere.example.test",
        "a.nowhere.example.test.evil.test",
        "xn--nwhere-fza.example.test",
        "evil-api.example.test"
      })
  void aNameBesideAWildcard(String name) throws Exception {
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(ClientHellos.of(name)).closed()).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getHost().equals(name)).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED);
    nothingLeft();
  }

  @AttackRow(24)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "203.0.113.9",
        "0177.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::7f00:1]"
      })
  void aLiteralAddressInAnySpelling(String host) throws Exception {
    try (RawGuest guest = harness.guest()) {
      refused(
          guest.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").answer(),
          403,
          "address_not_allowed");
    }
  }

  @AttackRow(25)
  @Test
  void aPinnedPrivateAddressNeverOpensAPortOfTheMesh() throws Exception {
    int listener = harness.listen("127.0.0.1", 7410);
    try (RawGuest guest =
        new RawGuest(Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage)) {
      refused(
          guest.send("GET / HTTP/1.1\r\nHost: mesh.example.test:7410\r\n\r\n").answer(),
          403,
          "private_address");
    }
  }

  @AttackRow(31)
  @Test
  void connectIsRefused() throws Exception {
    refused(
        ask("CONNECT api.example.test:443 HTTP/1.1\r\n" + HOST + "\r\n"),
        403,
        "protocol_not_allowed");
  }

  @AttackRow(31)
  @ParameterizedTest
  @ValueSource(strings = {"h2c", "TLS/1.0", "connect-ip"})
  void upgradesAreRefused(String protocol) throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Connection: Upgrade\r\nUpgrade: "
                + protocol
                + "\r\n\r\n"),
        403,
        "protocol_not_allowed");
  }

  @AttackRow(31)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\0\0\0\u0008\u0004\u00d2\u0016/",
        "\u0005\u0001\0",
        "helo x\r\n"
      })
  void whatIsNeitherTlsNorHttpIsClosed(String bytes) throws Exception {
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(bytes).closed()).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getProtocol().equals("tcp")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_PROTOCOL_NOT_ALLOWED);
  }
}
