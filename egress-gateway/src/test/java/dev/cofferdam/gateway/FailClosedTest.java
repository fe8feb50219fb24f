package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.google.protobuf.UnknownFieldSet;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Lines of docs/fail-closed.md whose cause is what the broker says, or does not say. */
final class FailClosedTest extends AttackSuite {
  private static final UnknownFieldSet NEWER =
      UnknownFieldSet.newBuilder()
          .addField(1999, UnknownFieldSet.Field.newBuilder().addVarint(1).build())
          .build();

  private long revision = 1;

  @AfterEach
  void whole() throws Exception {
    harness.broker.forgetsValues = false;
    harness.broker.signsNothing = false;
    harness.broker.beforeValues = () -> {};
    harness.broker.put(attachment().build());
    eventually(() -> attached(Harness.SLOT));
  }

  private Attachment.Builder attachment() {
    return Harness.attachment(harness.port).setPolicyRevision(++revision);
  }

  private boolean attached(String slot) {
    try {
      return harness.slots.at(InetAddress.getByName(slot)).isPresent();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void eventually(BooleanSupplier holds) {
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (!holds.getAsBoolean()) {
      assertThat(System.nanoTime()).isLessThan(end);
      LockSupport.parkNanos(1_000_000);
    }
  }

  private static UnaryOperator<Attachment.Builder> rule(UnaryOperator<EgressRule.Builder> change) {
    return attachment -> {
      attachment.setPolicy(
          attachment.getPolicy().toBuilder()
              .addRules(change.apply(EgressRule.newBuilder().setHost("x.example.test"))));
      return attachment;
    };
  }

  static Stream<Map.Entry<String, UnaryOperator<Attachment.Builder>>> whatCannotBeRead() {
    return Map.<String, UnaryOperator<Attachment.Builder>>of(
        "a rule of a host and a range",
        rule(r -> r.setCidr("203.0.113.0/24")),
        "an action of a newer contract",
        rule(r -> r.setActionValue(99)),
        "a condition of a newer contract",
        rule(r -> r.setUnknownFields(NEWER)),
        "one within a condition",
        rule(r -> r.setHttp(HttpMatch.newBuilder().addMethods("GET").setUnknownFields(NEWER))),
        "an expression that is none",
        rule(r -> r.setHttp(HttpMatch.newBuilder().setWhen("request.method =="))),
        "an expression of another type",
        rule(r -> r.setHttp(HttpMatch.newBuilder().setWhen("request.path"))),
        "a mode of a newer contract",
        a -> a.setPolicy(a.getPolicy().toBuilder().setModeValue(99)),
        "something more of the whole policy",
        a -> a.setPolicy(a.getPolicy().toBuilder().setUnknownFields(NEWER)),
        "a condition of a binding",
        a -> {
          GrantedBinding.Builder binding = a.getSecretsBuilder(0).getBindingsBuilder(0);
          binding.setUnknownFields(NEWER);
          return a;
        })
        .entrySet()
        .stream();
  }

  /** What it was to replace is not left in force either: it may have been what had to go. */
  @ParameterizedTest
  @MethodSource("whatCannotBeRead")
  void withAPolicyThatCannotBeReadTheSandboxIsDetached(
      Map.Entry<String, UnaryOperator<Attachment.Builder>> change) throws Exception {
    harness.attachSecond();
    try (RawGuest open = harness.guest().tls("api.example.test")) {
      assertThat(open.send(get("/", "")).answer().status()).isEqualTo(200);
      forget();

      harness.broker.put(change.getValue().apply(attachment()).build());

      assertThat(open.hungUpOn()).as("what was open ends").isTrue();
      try (RawGuest fresh = harness.guest()) {
        assertThat(fresh.closed()).isTrue();
      }
    }
    nothingLeft();
    assertThat(harness.broker.event(e -> e.getReason() == EgressReason.EGRESS_REASON_UNKNOWN_SLOT))
        .isNotNull();
    try (RawGuest other =
        new RawGuest(
                Harness.SECOND_SLOT,
                new InetSocketAddress("127.0.0.1", harness.port),
                harness.lineage)
            .tls("api.example.test")) {
      assertThat(other.send(get("/", "")).answer().status())
          .as("another sandbox goes on")
          .isEqualTo(200);
    }
  }

  @Test
  void aBrokerThatDoesNotAnswerIsGivenUp() throws Exception {
    CountDownLatch late = new CountDownLatch(1);
    harness.broker.beforeValues =
        () -> {
          try {
            late.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        };
    Answer answer;
    try {
      answer = ask(get("/", BEARER));
    } finally {
      late.countDown();
    }
    assertThat(answer.status()).isEqualTo(503);
    assertThat(answer.reason()).isEqualTo("broker_unavailable");
    assertThat(harness.upstream.received).isEmpty();
  }

  @Test
  void anAnswerWithFewerValuesThanWereAskedForIsNone() throws Exception {
    harness.broker.forgetsValues = true;

    Answer answer = ask(get("/", BEARER));

    assertThat(answer.status()).isEqualTo(503);
    assertThat(answer.reason()).isEqualTo("broker_unavailable");
    assertThat(harness.upstream.received).isEmpty();
  }

  @Test
  void withoutACertificateForTheGuestThereIsNoConnection() throws Exception {
    harness.broker.signsNothing = true;
    // Another revision has another issuer.
    harness.apply(attachment().build());
    try (RawGuest guest = harness.guest()) {
      assertThat(catchThrowable(() -> guest.tls("api.example.test")))
          .isInstanceOf(IOException.class);
    }
    AuditEvent event =
        harness.broker.event(e -> e.getReason() == EgressReason.EGRESS_REASON_BROKER_UNAVAILABLE);
    assertThat(event.getHost()).isEqualTo("api.example.test");
    assertThat(event.getMessage()).contains("no certificate");
    nothingLeft();
  }

  @Test
  void aPolicyWithoutRulesLetsNothingOut() throws Exception {
    harness.apply(attachment().setPolicy(EgressPolicy.getDefaultInstance()).build());
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.send(ClientHellos.of("api.example.test")).hungUpOn()).isTrue();
    }
    assertThat(inCleartext(get("/", "")).reason()).isEqualTo("host_not_allowed");
    nothingLeft();
  }
}
