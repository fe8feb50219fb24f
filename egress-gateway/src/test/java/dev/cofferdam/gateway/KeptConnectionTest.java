package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A connection to an upstream that it closes at the worst moment. */
final class KeptConnectionTest {
  private static final String HOST = "Host: api.example.test\r\n";
  private static final String SECRET = "Authorization: Bearer " + Harness.PLACEHOLDER + "\r\n";
  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.broker.materialised.clear();
    harness.broker.events.clear();
    harness.broker.beforeValues = () -> {};
  }

  /** Until the gateway has noticed, as its next connection shows. */
  private static void hangUpAndAwaitTheNext() {
    int before = harness.upstream.connections.get();
    harness.upstream.hangUp();
    long end = System.nanoTime() + Duration.ofSeconds(3).toNanos();
    while (harness.upstream.connections.get() == before && System.nanoTime() < end) {
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Also POST: nothing of it was sent. */
  @AttackRow(44)
  @ParameterizedTest
  @ValueSource(strings = {"GET", "POST"})
  void lostWhileTheBrokerIsAskedTheRequestIsSentOnceWithTheValuesOfOneUse(String method)
      throws Exception {
    String body = method.equals("POST") ? "hello" : "";
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send("GET / HTTP/1.1\r\n" + HOST + "\r\n").answer().status()).isEqualTo(200);
      harness.upstream.received.clear();
      AtomicInteger asked = new AtomicInteger();
      harness.broker.beforeValues =
          () -> {
            if (asked.getAndIncrement() == 0) {
              hangUpAndAwaitTheNext();
            }
          };

      Answer answer =
          guest
              .send(
                  method
                      + " /echo HTTP/1.1\r\n"
                      + HOST
                      + SECRET
                      + "Content-Length: "
                      + body.length()
                      + "\r\n\r\n"
                      + body)
              .answer();

      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.body()).contains(Harness.PLACEHOLDER).doesNotContain(Harness.VALUE);
    }
    assertThat(harness.upstream.received).hasSize(1);
    assertThat(harness.upstream.received.getFirst().body()).isEqualTo(body);
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    assertThat(harness.broker.materialised).hasSize(1);
  }

  @Test
  void aConnectionThatIsLostTwiceIsNotTriedForEver() throws Exception {
    CountDownLatch answered = new CountDownLatch(1);
    harness.broker.beforeValues =
        () -> {
          hangUpAndAwaitTheNext();
          harness.upstream.hangUp();
          await(answered);
        };
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send("GET / HTTP/1.1\r\n" + HOST + SECRET + "\r\n").answer().reason())
          .isEqualTo("upstream_unreachable");
    } finally {
      answered.countDown();
    }
    assertThat(harness.broker.materialised).hasSize(1);
  }

  private static void await(CountDownLatch latch) {
    try {
      if (!latch.await(20, TimeUnit.SECONDS)) {
        throw new AssertionError("the guest got no answer");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
