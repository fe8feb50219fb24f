package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.proxy.Limits;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One sandbox cannot take the broker from the others. */
final class MaterialisationLimitTest {
  private static final String REQUEST =
      "GET / HTTP/1.1\r\nHost: api.example.test\r\nAuthorization: Bearer "
          + Harness.PLACEHOLDER
          + "\r\n\r\n";

  private Harness harness;

  @SuppressWarnings("NullAway.Init") // before each test
  MaterialisationLimitTest() {}

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    harness =
        new Harness(
            directory,
            false,
            limits ->
                new Limits(
                    limits.headerBytes(),
                    limits.bodyScanBytes(),
                    limits.connectionsPerSandbox(),
                    2,
                    limits.headerTimeout(),
                    limits.idleTimeout(),
                    limits.connectTimeout(),
                    limits.answerTimeout()),
            new InetSocketAddress("127.0.0.1", 9));
    harness.attachSecond();
  }

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  @Test
  void whatIsBeyondTheLimitIsRefusedAndOtherSandboxesAreServed() throws Exception {
    Semaphore asked = new Semaphore(0);
    CountDownLatch goOn = new CountDownLatch(1);
    harness.broker.beforeValues =
        () -> {
          asked.release();
          await(goOn);
        };
    try (RawGuest one = harness.guest().tls("api.example.test");
        RawGuest two = harness.guest().tls("api.example.test");
        RawGuest three = harness.guest().tls("api.example.test");
        RawGuest other =
            new RawGuest(
                    Harness.SECOND_SLOT,
                    new InetSocketAddress("127.0.0.1", harness.port),
                    harness.lineage)
                .tls("api.example.test")) {
      one.send(REQUEST);
      two.send(REQUEST);
      assertThat(asked.tryAcquire(2, 20, TimeUnit.SECONDS)).isTrue();

      Answer refused = three.send(REQUEST).answer();

      assertThat(refused.status()).isEqualTo(429);
      assertThat(refused.reason()).isEqualTo("too_many_at_once");
      AuditEvent event =
          harness.broker.event(e -> e.getReason() == EgressReason.EGRESS_REASON_TOO_MANY_AT_ONCE);
      assertThat(event.getSandbox()).isEqualTo("sb-1");
      harness.broker.beforeValues = () -> {};
      assertThat(other.send(REQUEST).answer().status()).isEqualTo(200);
      goOn.countDown();
      assertThat(one.answer().status()).isEqualTo(200);
      assertThat(two.answer().status()).isEqualTo(200);
      // They have made room again.
      assertThat(three.send(REQUEST).answer().status()).isEqualTo(200);
    } finally {
      goOn.countDown();
    }
    assertThat(harness.broker.materialised).hasSize(4);
  }

  private static void await(CountDownLatch latch) {
    try {
      if (!latch.await(20, TimeUnit.SECONDS)) {
        throw new AssertionError("nobody let the broker go on");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
