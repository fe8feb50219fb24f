package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.micrometer.core.instrument.Timer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.KeyPair;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** What operators see of connections, handshakes and the gateway's own share of a request. */
final class MetersTest extends AttackSuite {
  private static final long A_WHILE = Duration.ofMillis(300).toNanos();

  private Timer handshakes(String direction, String outcome) {
    return harness
        .meters
        .get("cofferdam.gateway.handshakes")
        .tags("direction", direction, "outcome", outcome)
        .timer();
  }

  private Timer added(String kind) {
    return harness.meters.get("cofferdam.gateway.added").tag("kind", kind).timer();
  }

  private double upstreamConnections() {
    return harness.meters.get("cofferdam.gateway.upstream.connections").gauge().value();
  }

  private static void eventually(BooleanSupplier holds) {
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (!holds.getAsBoolean()) {
      assertThat(System.nanoTime()).isLessThan(end);
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void aConnectionToAnUpstreamIsCountedWhileItIsOpen() throws Exception {
    eventually(() -> upstreamConnections() == 0);
    ask(get("/", ""));
    assertThat(upstreamConnections()).isEqualTo(1);
    harness.upstream.hangUp();
    eventually(() -> upstreamConnections() == 0);
  }

  @Test
  void handshakesOfBothSidesAreCounted() throws Exception {
    harness.upstream.hangUp();
    eventually(() -> upstreamConnections() == 0);
    long in = handshakes("in", "done").count();
    long out = handshakes("out", "done").count();
    ask(get("/", ""));
    assertThat(handshakes("in", "done").count()).isEqualTo(in + 1);
    assertThat(handshakes("out", "done").count()).isEqualTo(out + 1);
    harness.upstream.hangUp();
  }

  @Test
  void aHandshakeThatFailsIsCountedOnItsSide() throws Exception {
    long in = handshakes("in", "failed").count();
    try (RawGuest guest =
        new RawGuest(
            Harness.SLOT,
            new InetSocketAddress("127.0.0.1", harness.port),
            new TestPki("another"))) {
      assertThat(catchThrowable(() -> guest.tls("api.example.test")))
          .isInstanceOf(IOException.class);
    }
    eventually(() -> handshakes("in", "failed").count() == in + 1);

    long out = handshakes("out", "failed").count();
    KeyPair key = TestPki.newKey();
    try (TestUpstream unknown =
        new TestUpstream(
            new InetSocketAddress("127.0.0.2", 0),
            key,
            false,
            new TestPki("unknown")
                .leaf(key.getPublic(), Duration.ofHours(1), "self.example.test"))) {
      int listening = harness.listen("127.0.0.1", unknown.port());
      harness.policy(Harness.rule("self.example.test", unknown.port()));
      try (RawGuest guest =
          new RawGuest(Harness.SLOT, new InetSocketAddress("127.0.0.1", listening), harness.lineage)
              .tls("self.example.test")) {
        assertThat(
                guest
                    .send(
                        "GET / HTTP/1.1\r\nHost: self.example.test:" + unknown.port() + "\r\n\r\n")
                    .answer()
                    .reason())
            .isEqualTo("upstream_certificate");
      }
    } finally {
      harness.policy(
          Harness.rule("api.example.test", harness.port),
          Harness.rule("other.example.test", harness.port));
    }
    assertThat(handshakes("out", "failed").count()).isGreaterThan(out);
  }

  /**
   * The one bound is of what happened in this order, however slow the machine is. The other leaves
   * room for what the gateway does with a head while its guest lets it wait for the body.
   */
  @Test
  void whatIsAddedHoldsTheBrokersAnswerAndNotTheGuestsTime() throws Exception {
    long secret = added("secret").count();
    double before = added("secret").totalTime(TimeUnit.NANOSECONDS);
    harness.broker.beforeValues = MetersTest::aWhilePasses;
    try {
      ask(get("/", BEARER));
    } finally {
      harness.broker.beforeValues = () -> {};
    }
    assertThat(added("secret").count()).isEqualTo(secret + 1);
    assertThat(added("secret").totalTime(TimeUnit.NANOSECONDS) - before)
        .isGreaterThan((double) A_WHILE);

    long plain = added("plain").count();
    double own = added("plain").totalTime(TimeUnit.NANOSECONDS);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      long began = System.nanoTime();
      guest.send("POST / HTTP/1.1\r\n" + HOST + "Content-Length: 4\r\n\r\n");
      aWhilePasses();
      guest.send("late");
      assertThat(guest.answer().status()).isEqualTo(200);
      long whole = System.nanoTime() - began;
      assertThat(added("plain").count()).isEqualTo(plain + 1);
      assertThat(added("plain").totalTime(TimeUnit.NANOSECONDS) - own)
          .isLessThan(whole - A_WHILE / 2.0);
    }
  }

  private static void aWhilePasses() {
    long began = System.nanoTime();
    while (System.nanoTime() - began < A_WHILE) {
      LockSupport.parkNanos(1_000_000);
    }
  }
}
