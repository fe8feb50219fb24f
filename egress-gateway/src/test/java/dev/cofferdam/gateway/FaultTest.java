package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.proxy.Surroundings;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The gateway's own faults end a connection and are told; what a peer does is nobody's fault. */
final class FaultTest extends AttackSuite {
  FaultTest() {
    super(true);
  }

  private double faults(String side) {
    return harness.meters.get("cofferdam.gateway.faults").tag("side", side).counter().count();
  }

  /** Where a request begins something of ours throws, with what it handles in its message. */
  private int listenFaulty(RuntimeException fault) {
    RandomGenerator throwing =
        () -> {
          throw fault;
        };
    Surroundings all = harness.surroundings;
    Surroundings faulty =
        new Surroundings(
            all.slots(),
            all.lease(),
            all.decisions(),
            all.certificates(),
            all.broker(),
            all.upstreams(),
            all.limits(),
            all.blocking(),
            throwing,
            all.meters(),
            all.exchanges(),
            all.faults());
    return harness
        .listeners
        .listen(
            new InetSocketAddress("127.0.0.1", 0),
            faulty,
            _ -> new InetSocketAddress(harness.asked.get(), harness.port))
        .getPort();
  }

  @ParameterizedTest
  @ValueSource(strings = {"http/1.1", "h2"})
  void aFaultOfOursEndsTheConnectionAndIsTold(String protocol) throws Exception {
    double before = faults("guest");
    String message = "while handling " + Harness.VALUE;
    // Of different kinds: the same one is told once in a while.
    RuntimeException fault =
        protocol.equals("h2")
            ? new IllegalStateException(message)
            : new UnsupportedOperationException(message);
    try (LogLines lines = new LogLines(Faults.class)) {
      if (protocol.equals("h2")) {
        try (Http2Guest guest = new Http2Guest(harness, "api.example.test", listenFaulty(fault))) {
          assertThat(guest.ask("api.example.test", "/", Map.of())).isEqualTo("closed");
        }
      } else {
        try (RawGuest guest =
            new RawGuest(
                    Harness.SLOT,
                    new InetSocketAddress("127.0.0.1", listenFaulty(fault)),
                    harness.lineage)
                .tls("api.example.test")) {
          assertThat(guest.send(get("/", BEARER)).closed()).isTrue();
        }
      }
      assertThat(faults("guest")).isEqualTo(before + 1);
      String line = lines.all();
      assertThat(line).contains("handler_failed", fault.getClass().getName(), "FaultTest");
      assertThat(line).doesNotContain(Harness.VALUE, "while handling", Harness.PLACEHOLDER);
    }
    nothingLeft();
  }

  @Test
  void whatAPeerSendsOrBreaksOffIsNone() throws Exception {
    List<Double> before = List.of(faults("guest"), faults("upstream"), faults("dns"));
    try (LogLines lines = new LogLines(Faults.class)) {
      for (String garbage :
          List.of("\u0016\u0003\u0001\u0000\u0005hello", "\u0000", "GET \u0001")) {
        try (RawGuest guest = harness.guest()) {
          guest.send(garbage);
        }
      }
      try (RawGuest guest = harness.guest().tls("api.example.test", "h2")) {
        guest.send(
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nno frame of HTTP/2 at all, and no settings\r\n");
        assertThat(guest.hungUpOn()).isTrue();
      }
      try (RawGuest guest = harness.guest().tls("api.example.test")) {
        guest.send("POST / HTTP/1.1\r\n" + HOST + "Content-Length: 100\r\n\r\nhalf");
      }
      datagram("no DNS");
      datagram("\u0000\u0001\u0001\u0000\u0000\u0009\u0000\u0000\u0000\u0000\u0000\u0000?short");
      harness.upstream.hangUp();
      assertThat(ask(get("/", "")).status()).isEqualTo(200);
      assertThat(lines.all()).isEmpty();
    }
    assertThat(List.of(faults("guest"), faults("upstream"), faults("dns"))).isEqualTo(before);
  }

  private void datagram(String bytes) throws IOException {
    byte[] sent = bytes.getBytes(StandardCharsets.ISO_8859_1);
    try (DatagramSocket socket =
        new DatagramSocket(new InetSocketAddress(InetAddress.getByName(Harness.SLOT), 0))) {
      socket.send(new DatagramPacket(sent, sent.length, harness.dns));
    }
  }
}
