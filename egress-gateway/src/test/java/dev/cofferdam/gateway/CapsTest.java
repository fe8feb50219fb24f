package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import dev.cofferdam.gateway.slot.LeaseWatch;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RateCap;
import dev.cofferdam.v1.RequestCaps;
import dev.cofferdam.v1.RuleAction;
import dev.cofferdam.v1.Verdict;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Instant;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How much leaves, and when. */
final class CapsTest {
  private Harness harness;
  private long revision = 1;

  @SuppressWarnings("NullAway.Init") // before each test
  CapsTest() {}

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
  }

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  private EgressRule.Builder api() {
    return EgressRule.newBuilder().setHost("api.example.test").addPorts(harness.port);
  }

  private void policy(RequestCaps.Builder caps, EgressRule.Builder... rules) throws Exception {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder().setCaps(caps);
    for (EgressRule.Builder rule : rules) {
      policy.addRules(rule);
    }
    harness.apply(
        Harness.attachment(harness.port).setPolicyRevision(++revision).setPolicy(policy).build());
  }

  private static RequestCaps.Builder caps() {
    return RequestCaps.newBuilder();
  }

  private Answer ask(String line, String headersAndBody) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      return guest.send(line + " HTTP/1.1\r\nHost: api.example.test\r\n" + headersAndBody).answer();
    }
  }

  private Answer get() throws Exception {
    return ask("GET /", "\r\n");
  }

  private void assertCapped(Answer answer) {
    assertThat(answer.status()).isEqualTo(429);
    assertThat(answer.reason()).isEqualTo("cap_exceeded");
  }

  @Test
  void theEleventhRequestUnderACapOfTenIsRefusedAndOnRecord() throws Exception {
    policy(caps(), api().setCaps(caps().setRequests(10)));
    for (int i = 0; i < 10; i++) {
      assertThat(get().status()).isEqualTo(200);
    }

    assertCapped(get());
    AuditEvent event = harness.broker.event(e -> e.getVerdict() == Verdict.VERDICT_DENIED);
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_CAP_EXCEEDED);
    assertThat(event.getStatus()).isEqualTo(429);
    assertThat(harness.upstream.received).hasSize(10);
  }

  @Test
  void theSandboxesCapIsOverAllRulesAndTakesNothingOfTheRules() throws Exception {
    policy(
        caps().setRequests(2),
        api().setHttp(HttpMatch.newBuilder().addMethods("POST")).setCaps(caps().setRequests(1)),
        api());

    assertThat(ask("POST /", "Content-Length: 0\r\n\r\n").status()).isEqualTo(200);
    // Refused by its rule's cap, it is no request of the sandbox's.
    assertCapped(ask("POST /", "Content-Length: 0\r\n\r\n"));
    assertThat(get().status()).isEqualTo(200);
    assertCapped(get());
  }

  @Test
  void aRequestThatIsRefusedForAnotherReasonCountsForNothing() throws Exception {
    policy(caps().setRequests(1), api().setHttp(HttpMatch.newBuilder().addMethods("GET")));

    assertThat(ask("DELETE /", "\r\n").reason()).isEqualTo("request_not_allowed");
    assertThat(ask("GET /", "X-Other: " + Harness.PLACEHOLDER + "\r\n\r\n").status())
        .isEqualTo(403);
    assertThat(get().status()).isEqualTo(200);
    assertCapped(get());
  }

  @Test
  void anUpdateOfTheCapDoesNotForgetWhatWasUsed() throws Exception {
    policy(caps(), api().setCaps(caps().setRequests(2)));
    assertThat(get().status()).isEqualTo(200);
    assertThat(get().status()).isEqualTo(200);
    assertCapped(get());

    policy(caps(), api().setCaps(caps().setRequests(3)).setMaxRequestBytes(5));

    assertThat(get().status()).isEqualTo(200);
    assertCapped(get());
  }

  @Test
  void aRateIsABucketOfTokens() throws Exception {
    RateCap rate =
        RateCap.newBuilder().setCount(2).setPer(Duration.newBuilder().setSeconds(86_400)).build();
    policy(caps(), api().setCaps(caps().setRate(rate)));

    assertThat(get().status()).isEqualTo(200);
    assertThat(get().status()).isEqualTo(200);
    assertCapped(get());
  }

  @Test
  void oneAtATimeIsOneAtATime() throws Exception {
    policy(caps(), api().setCaps(caps().setConcurrent(1)));
    try (RawGuest first = harness.guest().tls("api.example.test")) {
      first.send("GET /stall HTTP/1.1\r\nHost: api.example.test\r\n\r\n").until("line\n");

      assertCapped(get());
    }
    // Its connection is closed, which the gateway hears of in its own time.
    long end = System.nanoTime() + java.time.Duration.ofSeconds(20).toNanos();
    while (get().status() != 200) {
      assertThat(System.nanoTime()).isLessThan(end);
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void bytesAreCountedBothWaysAndCutOff() throws Exception {
    policy(caps().setBytes(1 << 20), api());

    assertThat(ask("POST /", "Content-Length: 500000\r\n\r\n" + "x".repeat(500_000)).status())
        .isNotEqualTo(429);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send("GET /large HTTP/1.1\r\nHost: api.example.test\r\n\r\n");
      assertThat(guest.hungUpOn()).isTrue();
    }
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/large"));
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_CAP_EXCEEDED);
    assertThat(event.getBytesIn()).isLessThan(1 << 20);
    assertCapped(get());
  }

  @Test
  void whatIsSentAloneUsesThemUp() throws Exception {
    policy(caps().setBytes(1 << 20), api());
    String most = "Content-Length: 600000\r\n\r\n" + "x".repeat(600_000);

    assertThat(ask("POST /", most).status()).isNotEqualTo(429);
    assertCapped(ask("POST /", most));
  }

  @Test
  void whatIsPassedThroughIsCountedByConnectionsAndBytes() throws Exception {
    policy(caps().setRequests(2).setBytes(1 << 20), api().setPassthrough(true));
    try (RawGuest first = passed()) {
      assertThat(
              first
                  .tls("api.example.test")
                  .send("GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
                  .answer()
                  .status())
          .isEqualTo(200);
    }
    try (RawGuest second = passed()) {
      second.tls("api.example.test").send("GET /large HTTP/1.1\r\nHost: api.example.test\r\n\r\n");
      assertThat(second.hungUpOn()).isTrue();
    }
    AuditEvent cut = harness.broker.event(e -> e.getVerdict() == Verdict.VERDICT_DENIED);
    assertThat(cut.getReason()).isEqualTo(EgressReason.EGRESS_REASON_CAP_EXCEEDED);
    policy(caps().setRequests(2), api().setPassthrough(true));
    try (RawGuest third = passed()) {
      // The client's own handshake never comes to an end.
      org.assertj.core.api.Assertions.assertThatThrownBy(() -> third.tls("api.example.test"))
          .isInstanceOf(java.io.IOException.class);
    }
  }

  private RawGuest passed() throws Exception {
    return new RawGuest(
        Harness.SLOT, new InetSocketAddress("127.0.0.1", harness.port), harness.public_);
  }

  /** What is open under a rule ends with it. */
  @Test
  void aRuleExpires() throws Exception {
    LeaseWatch watch = LeaseWatch.manual(harness.surroundings.lease(), harness.slots);
    Instant end = harness.clock.instant().plusSeconds(60);
    policy(
        caps(),
        api().setExpireTime(Timestamp.newBuilder().setSeconds(end.getEpochSecond())),
        Harness.rule("other.example.test", harness.port).toBuilder());
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      String request = "GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n";
      watch.tick();
      assertThat(guest.send(request).answer().status()).isEqualTo(200);

      harness.clock.set(end);
      watch.tick();

      assertThat(guest.closed()).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getVerdict() == Verdict.VERDICT_ALLOWED).getHost())
        .isEqualTo("api.example.test");
    try (RawGuest late = harness.guest()) {
      org.assertj.core.api.Assertions.assertThatThrownBy(() -> late.tls("api.example.test"))
          .isInstanceOf(java.io.IOException.class);
    }
    assertThat(harness.broker.event(e -> e.getVerdict() == Verdict.VERDICT_DENIED).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED);
  }

  /** And one that denies makes room for what comes after it. */
  @Test
  void aRuleWhoseTimeItIsNotIsNotThere() throws Exception {
    LeaseWatch watch = LeaseWatch.manual(harness.surroundings.lease(), harness.slots);
    Instant end = harness.clock.instant().plusSeconds(60);
    policy(
        caps(),
        api()
            .setHttp(HttpMatch.newBuilder().addMethods("GET"))
            .setAction(RuleAction.RULE_ACTION_DENY)
            .setExpireTime(Timestamp.newBuilder().setSeconds(end.getEpochSecond())),
        api());
    assertThat(get().reason()).isEqualTo("request_not_allowed");

    harness.clock.set(end);
    watch.tick();

    assertThat(get().status()).isEqualTo(200);
  }
}
