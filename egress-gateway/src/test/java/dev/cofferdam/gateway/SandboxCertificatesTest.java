package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.HostPattern;
import dev.cofferdam.gateway.policy.Policy;
import dev.cofferdam.gateway.policy.Rule;
import dev.cofferdam.gateway.policy.Terms;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.gateway.tls.KeyReservoir;
import dev.cofferdam.gateway.tls.SandboxCertificates;
import dev.cofferdam.internal.v1.IssueCertificateRequest;
import io.grpc.Status;
import java.net.InetAddress;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is signed when, and what holds while the broker is away. */
@SuppressWarnings("try") // closing a harness may throw anything
final class SandboxCertificatesTest {
  private static final Host.Name HOST = new Host.Name("api.example.test");

  private final TestPki lineage = new TestPki("lineage");
  private final KeyReservoir keys = new KeyReservoir();
  private final AtomicInteger asked = new AtomicInteger();
  private Instant now = Instant.now();
  private boolean away;
  private boolean clockFails;

  private final SandboxCertificates certificates =
      new SandboxCertificates(this::sign, keys, this::now, this::run);

  private X509Certificate sign(String sandbox, long revision, byte[] request) {
    asked.incrementAndGet();
    if (away) {
      throw Status.UNAVAILABLE.asRuntimeException();
    }
    return lineage.issuer(request);
  }

  private Instant now() {
    if (clockFails && running) {
      throw new IllegalStateException("no key was to be had");
    }
    return now;
  }

  private boolean running;

  private void run(Runnable task) {
    running = true;
    task.run();
    running = false;
  }

  @AfterEach
  void stop() {
    keys.close();
  }

  private static Attachment attachment() {
    return attachment(new Policy(List.of(rule(false))));
  }

  private static Rule rule(boolean passthrough) {
    return new Rule(
        new Rule.Match.Hosts(HostPattern.parse("api.example.test")),
        Set.of(443),
        /* allow= */ true,
        passthrough,
        Terms.NONE);
  }

  private static Attachment attachment(Policy policy) {
    return new Attachment(
        "sb-1",
        "default",
        "ln-1",
        1,
        1,
        "node-1",
        InetAddress.getLoopbackAddress(),
        policy,
        1,
        List.of(),
        new Judge(List.of()),
        Optional.empty());
  }

  private boolean serves() {
    return !certificates.context(attachment(), HOST, false).isCompletedExceptionally();
  }

  @AttackRow(50)
  @Test
  void whatWasPreparedServesWhileTheBrokerIsAway() {
    certificates.prepare(attachment());
    away = true;

    assertThat(serves()).isTrue();
    assertThat(asked).hasValue(1);
  }

  @Test
  void whereNothingIsInterceptedNobodyIsAsked() {
    certificates.prepare(attachment(new Policy(List.of())));
    certificates.prepare(attachment(new Policy(List.of(rule(true)))));

    assertThat(asked).hasValue(0);
  }

  @AttackRow(50)
  @Test
  void anIssuerNearItsEndServesUntilTheNextOneWasSigned() {
    assertThat(serves()).isTrue();
    now = now.plus(Duration.ofHours(23)).plusSeconds(60);
    away = true;
    assertThat(serves()).isTrue();
    assertThat(asked).hasValue(2);

    away = false;
    assertThat(serves()).isTrue();
    assertThat(asked).hasValue(3);
  }

  @AttackRow(50)
  @Test
  void anIssuerThatHasEndedServesNobody() {
    assertThat(serves()).isTrue();
    now = now.plus(Duration.ofHours(25));
    away = true;

    assertThat(serves()).isFalse();
    away = false;
    assertThat(serves()).isTrue();
  }

  @Test
  void aLeafThatFailedIsTriedAgain() {
    certificates.prepare(attachment());
    clockFails = true;
    assertThat(serves()).isFalse();
    clockFails = false;

    assertThat(serves()).isTrue();
  }

  @Test
  void aNewRevisionIsSignedBeforeAnybodyConnects(@TempDir Path directory) throws Exception {
    try (Harness harness = new Harness(directory, false)) {
      assertThat(revision(harness)).isEqualTo(1);
      harness.broker.put(Harness.attachment(harness.port).setPolicyRevision(2).build());
      assertThat(revision(harness)).isEqualTo(2);
    }
  }

  private static long revision(Harness harness) throws InterruptedException {
    IssueCertificateRequest request = harness.broker.issued.poll(20, TimeUnit.SECONDS);
    assertThat(request).as("nothing was to be signed").isNotNull();
    return request.getPolicyRevision();
  }
}
