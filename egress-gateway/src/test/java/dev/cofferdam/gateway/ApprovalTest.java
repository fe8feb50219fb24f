package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.AwaitApprovalRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RuleAction;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Requests that wait for somebody's word. */
final class ApprovalTest {
  private static final String HOST = "api.example.test";
  private static final String GET = "GET /v1/a?key=1 HTTP/1.1\r\nHost: " + HOST + "\r\n\r\n";
  private static final String POST =
      "POST /v1/b HTTP/1.1\r\nHost: "
          + HOST
          + "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

  @TempDir private Path directory = Path.of("unset");
  private Harness harness;

  @SuppressWarnings("NullAway.Init") // before each test
  ApprovalTest() {}

  @BeforeEach
  void start() throws Exception {
    harness = new Harness(directory, /* http2= */ false);
    harness.policy(approve().build());
  }

  private EgressRule.Builder approve() {
    return EgressRule.newBuilder()
        .setHost(HOST)
        .addPorts(harness.port)
        .setAction(RuleAction.RULE_ACTION_APPROVE);
  }

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  private FakeBroker.Asked asked() throws InterruptedException {
    return Objects.requireNonNull(
        harness.broker.asked.poll(30, TimeUnit.SECONDS), "nobody was asked");
  }

  @Test
  void aRequestWaitsAndThenGoesOn() throws Exception {
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(POST);
      FakeBroker.Asked asked = asked();
      AwaitApprovalRequest request = asked.request();
      assertThat(request.getHost()).isEqualTo(HOST);
      assertThat(request.getPort()).isEqualTo(harness.port);
      assertThat(request.getTls()).isTrue();
      assertThat(request.getMethod()).isEqualTo("POST");
      assertThat(request.getPath()).isEqualTo("/v1/b");
      assertThat(request.getBodyBytes()).isEqualTo(5);
      assertThat(request.getContentType()).isEqualTo("text/plain");
      assertThat(request.getSandbox()).isEqualTo("sb-1");
      assertThat(request.getSlotAddress()).isEqualTo(Harness.SLOT);
      assertThat(harness.upstream.received).isEmpty();

      asked.answer(EgressReason.EGRESS_REASON_UNSPECIFIED);
      assertThat(guest.answer().status()).isEqualTo(200);
      assertThat(harness.upstream.received).hasSize(1);

      // The next one needs its own.
      guest.send(GET);
      FakeBroker.Asked next = asked();
      assertThat(next.request().getPath()).isEqualTo("/v1/a");
      assertThat(harness.upstream.received).hasSize(1);
      next.answer(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
      assertThat(guest.answer().reason()).isEqualTo("approval_denied");
    }
    AuditEvent allowed = harness.broker.event(e -> e.getMethod().equals("POST"));
    assertThat(allowed.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(allowed.getApproval()).isEqualTo("ap-1");
    AuditEvent denied = harness.broker.event(e -> e.getMethod().equals("GET"));
    assertThat(denied.getReason()).isEqualTo(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
    assertThat(denied.getApproval()).isEqualTo("ap-1");
    assertThat(harness.upstream.received).hasSize(1);
  }

  @ParameterizedTest
  @CsvSource({
    "EGRESS_REASON_APPROVAL_DENIED, 403, approval_denied",
    "EGRESS_REASON_APPROVAL_TIMEOUT, 403, approval_timeout",
    "EGRESS_REASON_TOO_MANY_WAITING, 429, too_many_waiting",
    "EGRESS_REASON_INTERNAL, 403, approval_timeout"
  })
  void anythingButAnApprovalIsARefusal(EgressReason told, int status, String reason)
      throws Exception {
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(GET);
      asked().answer(told);
      Answer answer = guest.answer();
      assertThat(answer.status()).isEqualTo(status);
      assertThat(answer.reason()).isEqualTo(reason);
    }
    assertThat(harness.upstream.received).isEmpty();
  }

  @Test
  void aBrokerThatIsGoneIsARefusal() throws Exception {
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(GET);
      asked().out().onError(Status.UNAVAILABLE.asRuntimeException());
      assertThat(guest.answer().reason()).isEqualTo("broker_unavailable");
    }
    assertThat(harness.upstream.received).isEmpty();
  }

  /** Which secrets it would be given is shown, and none is fetched before the answer. */
  @Test
  void noSecretIsFetchedBefore() throws Exception {
    String with =
        "GET / HTTP/1.1\r\nHost: "
            + HOST
            + "\r\nAuthorization: Bearer "
            + Harness.PLACEHOLDER
            + "\r\n\r\n";
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(with);
      FakeBroker.Asked asked = asked();
      assertThat(asked.request().getGrantsList()).containsExactly("gr-api-key");
      assertThat(asked.request().toString()).doesNotContain(Harness.PLACEHOLDER);
      assertThat(harness.broker.materialised).isEmpty();
      asked.answer(EgressReason.EGRESS_REASON_UNSPECIFIED);
      assertThat(guest.answer().status()).isEqualTo(200);
    }
    assertThat(harness.broker.materialised).hasSize(1);
  }

  /** Nobody is asked about what would be refused anyway. */
  @Test
  void whatIsRefusedAnywayIsNotAskedFor() throws Exception {
    String body = "x" + Harness.PLACEHOLDER;
    for (String request :
        new String[] {
          "GET / HTTP/1.1\r\nHost: " + HOST + "\r\nUser-Agent: " + Harness.PLACEHOLDER + "\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: "
              + HOST
              + "\r\nContent-Length: "
              + body.length()
              + "\r\n\r\n"
              + body
        }) {
      try (RawGuest guest = harness.guest().tls(HOST)) {
        assertThat(guest.send(request).answer().status()).isEqualTo(403);
      }
    }
    assertThat(harness.broker.asked).isEmpty();
  }

  private void data(DataAction action) throws Exception {
    harness.apply(
        Harness.attachment(harness.port)
            .setPolicyRevision(++revision)
            .setPolicy(
                EgressPolicy.newBuilder()
                    .addRules(approve())
                    .addData(
                        DataRule.newBuilder()
                            .setAction(action)
                            .addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES)))
            .build());
  }

  private long revision = 10;

  /** No person is asked for what may not leave, nor shown what is found. */
  @AttackRow(56)
  @Test
  void dataRulesComeFirstAndHideThePath() throws Exception {
    data(DataAction.DATA_ACTION_BLOCK);
    String post =
        POST.replace("Content-Length: 5\r\n\r\nhello", "Content-Length: 9\r\n\r\n j@sun.ch");
    try (RawGuest guest = harness.guest().tls(HOST)) {
      assertThat(guest.send(post).answer().reason()).isEqualTo("data_not_allowed");
    }
    assertThat(harness.broker.asked).isEmpty();

    data(DataAction.DATA_ACTION_REPORT);
    String first = askedPath();
    assertThat(first).startsWith("[data of ").doesNotContain("jane");
    // Or a yes for some time to one of them would be one to all.
    assertThat(askedPath()).isNotEqualTo(first);
  }

  private String askedPath() throws Exception {
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(GET.replace("/v1/a", "/v1/jane@example.com"));
      FakeBroker.Asked asked = asked();
      asked.answer(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
      assertThat(guest.answer().status()).isEqualTo(403);
      return asked.request().getPath();
    }
  }

  /** Found good by rules that are no longer in force, it is not sent by a late yes. */
  @AttackRow(56)
  @Test
  void aRequestThatWaitsEndsWhenItsDataRulesChange() throws Exception {
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(POST);
      FakeBroker.Asked asked = asked();
      data(DataAction.DATA_ACTION_BLOCK);
      assertThat(guest.answer().reason()).isEqualTo("data_not_allowed");
      awaitCancelled(asked);
    }
    assertThat(harness.upstream.received).isEmpty();
  }

  /** The broker must not let somebody approve what nobody waits for. */
  @Test
  void aGuestThatLeavesEndsTheQuestion() throws Exception {
    FakeBroker.Asked asked;
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(GET);
      asked = asked();
    }
    awaitCancelled(asked);
  }

  @Test
  void aPolicyThatRefusesItMeanwhileEndsItToo() throws Exception {
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(GET);
      FakeBroker.Asked asked = asked();
      harness.policy(approve().setHttp(HttpMatch.newBuilder().addMethods("PUT")).build());
      assertThat(guest.answer().reason()).isEqualTo("request_not_allowed");
      awaitCancelled(asked);
    }
    assertThat(harness.upstream.received).isEmpty();
  }

  private static void awaitCancelled(FakeBroker.Asked asked) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!asked.out().isCancelled()) {
      assertThat(System.nanoTime()).as("the question was never let go").isLessThan(end);
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** What one was asked for does not let another go. */
  @Test
  void twoThatWaitAreTwoQuestions() throws Exception {
    try (RawGuest first = harness.guest().tls(HOST);
        RawGuest second = harness.guest().tls(HOST)) {
      first.send(GET);
      FakeBroker.Asked ofFirst = asked();
      second.send(GET);
      FakeBroker.Asked ofSecond = asked();
      assertThat(ofFirst.request().getRequest()).isNotEqualTo(ofSecond.request().getRequest());
      ofSecond.answer(EgressReason.EGRESS_REASON_UNSPECIFIED);
      assertThat(second.answer().status()).isEqualTo(200);
      assertThat(harness.upstream.received).hasSize(1);
      ofFirst.answer(EgressReason.EGRESS_REASON_APPROVAL_DENIED);
      assertThat(first.answer().status()).isEqualTo(403);
    }
    assertThat(harness.upstream.received).hasSize(1);
  }

  @Test
  void noWebSocketBeginsUnderIt() throws Exception {
    try (RawGuest guest = harness.guest().tls(HOST)) {
      guest.send(
          "GET / HTTP/1.1\r\nHost: "
              + HOST
              + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
      assertThat(guest.answer().reason()).isEqualTo("protocol_not_allowed");
    }
    assertThat(harness.broker.asked).isEmpty();
  }
}
