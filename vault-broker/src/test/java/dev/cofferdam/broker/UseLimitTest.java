package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.put;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.NarrowSecretRequest;
import dev.cofferdam.v1.RateCap;
import dev.cofferdam.v1.UseLimits;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.sql.Connection;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Caps on the use of a secret, and its end. */
class UseLimitTest extends BrokerTest {
  private Attached attached(String name, UseLimits.Builder limits) {
    String token = broker.secretsToken("acme");
    var _ = broker.secrets(token).putSecret(put(name, VALUE).setLimits(limits).build());
    return broker.attached(name, broker.apiToken("acme"), token, "g1", broker.nextSlot());
  }

  private void use(MaterializeRequest.Builder request) {
    assertThat(TestBroker.texts(broker.gateway("g1").materialize(request.build())))
        .containsOnly(VALUE);
  }

  private void assertCapped(Attached attached) {
    assertEgressRefused(() -> use(attached.request()), EgressReason.EGRESS_REASON_CAP_EXCEEDED);
  }

  private static UseLimits.Builder rate(int count, long seconds) {
    return UseLimits.newBuilder()
        .setRate(
            RateCap.newBuilder().setCount(count).setPer(Duration.newBuilder().setSeconds(seconds)));
  }

  @Test
  void theEleventhUseUnderACapOfTenIsRefusedAndOnRecord() {
    Attached attached = attached("ten", UseLimits.newBuilder().setUses(10));
    for (int i = 0; i < 10; i++) {
      use(attached.request());
    }

    assertCapped(attached);
    List<AuditEvent> uses =
        broker.events(attached.apiToken()).stream()
            .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
            .filter(event -> event.getSandbox().equals(attached.sandbox()))
            .toList();
    assertThat(uses).hasSize(11);
    assertThat(uses.getLast().getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(uses.getLast().getReason()).isEqualTo(EgressReason.EGRESS_REASON_CAP_EXCEEDED);
    assertThat(uses.getLast().getSecret()).isEqualTo("ten");
    // Another sandbox has a cap of its own.
    Attached other =
        broker.attached(
            "ten", attached.apiToken(), attached.secretsToken(), "g1", broker.nextSlot());
    use(other.request());
  }

  /**
   * Forty at once, over two brokers, and neither can commit before both have counted: the audit,
   * which is written last, is held up until they wait for it or for one another.
   */
  @Test
  void noTwoBrokersCountPastACapTogether() throws Exception {
    Attached attached = attached("raced", UseLimits.newBuilder().setUses(11));
    // The row of its count is there: that two make it at once would hold one of them up.
    use(attached.request());
    int otherPort = broker.another("b2").meshPort();
    List<AttachmentServiceGrpc.AttachmentServiceBlockingStub> brokers =
        List.of(
            broker.gateway("g1"),
            AttachmentServiceGrpc.newBlockingStub(broker.peer("egress-gateway", "g1", otherPort)));
    List<Future<Boolean>> asked = new ArrayList<>();
    try (var threads = Executors.newVirtualThreadPerTaskExecutor();
        Connection holder = broker.database.connect();
        Statement statement = holder.createStatement()) {
      holder.setAutoCommit(false);
      statement.execute("select * from audit_head where tenant = 'acme' for update");
      for (int i = 0; i < 40; i++) {
        var at = brokers.get(i % 2);
        asked.add(
            threads.submit(() -> {
              try {
                return at.materialize(attached.request().build()).getValuesCount() == 1;
              } catch (StatusRuntimeException e) {
                assertThat(Refused.egressReason(e)).isEqualTo("CAP_EXCEEDED");
                return false;
              }
            }));
      }
      awaitTwoThatWait(statement);
      holder.commit();
    }
    int given = 0;
    for (Future<Boolean> each : asked) {
      given += each.get() ? 1 : 0;
    }
    assertThat(given).isEqualTo(10);
  }

  private static void awaitTwoThatWait(Statement statement) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (true) {
      try (var rows =
          statement.executeQuery(
              "select count(distinct l.pid) from pg_locks l join pg_stat_activity a using (pid)"
                  + " where not l.granted and a.datname = current_database()")) {
        rows.next();
        if (rows.getInt(1) >= 2) {
          return;
        }
      }
      if (System.nanoTime() > end) {
        throw new AssertionError("the brokers never waited");
      }
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void aRequestCountsOnceAndARefusedOneNotAtAll() {
    Attached attached = attached("once", UseLimits.newBuilder().setUses(2));
    assertEgressRefused(
        () -> use(attached.request().setHost("other.example.com")),
        EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND);

    use(attached.request().addUses(TestBroker.use(attached.placeholder(), "header:x-api-key")));
    use(attached.request());

    assertCapped(attached);
  }

  /** All or none: what stands beside a use that is over its cap counts for nothing either. */
  @Test
  void aUseBesideOneThatIsOverItsCapIsNotCounted() {
    String token = broker.secretsToken("beside");
    var secrets = broker.secrets(token);
    var _ =
        secrets.putSecret(put("one", VALUE).setLimits(UseLimits.newBuilder().setUses(1)).build());
    var _ =
        secrets.putSecret(put("two", VALUE).setLimits(UseLimits.newBuilder().setUses(2)).build());
    String sandbox = broker.newSandbox();
    String slot = broker.nextSlot();
    String api = broker.apiToken("beside");
    var granted = broker.scheduler(api).createGrants(TestBroker.grants(sandbox, "one", "two"));
    var _ = broker.gateway("g1").redeemTicket(TestBroker.redeem(granted.getAttachTicket(), slot));
    String two = granted.getPlaceholders(1).getPlaceholder();
    Attached attached =
        new Attached(sandbox, slot, 1, granted.getPlaceholders(0).getPlaceholder(), api, token);
    MaterializeRequest.Builder both =
        attached.request().addUses(TestBroker.use(two, "header:x-api-key"));
    use(both);

    assertEgressRefused(() -> use(both), EgressReason.EGRESS_REASON_CAP_EXCEEDED);

    MaterializeRequest.Builder second =
        attached.request().clearUses().addUses(TestBroker.use(two, "header:x-api-key"));
    use(second);
    assertEgressRefused(() -> use(second), EgressReason.EGRESS_REASON_CAP_EXCEEDED);
  }

  @Test
  void aRateFillsAgainEvenly() {
    Attached attached = attached("rated", rate(3, 60));
    for (int i = 0; i < 3; i++) {
      use(attached.request());
    }
    assertCapped(attached);

    broker.clock.advance(java.time.Duration.ofSeconds(19));
    assertCapped(attached);
    broker.clock.advance(java.time.Duration.ofSeconds(1));
    use(attached.request());
    assertCapped(attached);

    broker.clock.advance(java.time.Duration.ofHours(5));
    for (int i = 0; i < 3; i++) {
      use(attached.request());
    }
    assertCapped(attached);
  }

  @Test
  void aSecretExpires() {
    long end = broker.clock.instant().getEpochSecond() + 60;
    Attached attached =
        attached(
            "expiring",
            UseLimits.newBuilder().setExpireTime(Timestamp.newBuilder().setSeconds(end)));
    use(attached.request());

    broker.clock.advance(java.time.Duration.ofSeconds(60));

    assertEgressRefused(() -> use(attached.request()), EgressReason.EGRESS_REASON_SECRET_EXPIRED);
  }

  @Test
  void limitsAreOnlyMadeNarrower() {
    Attached attached = attached("narrowed", rate(10, 60).setUses(5));
    use(attached.request());
    use(attached.request());
    var secrets = broker.secrets(attached.secretsToken());

    for (UseLimits.Builder wider :
        List.of(
            rate(10, 60),
            rate(10, 60).setUses(6),
            rate(11, 60).setUses(5),
            rate(10, 30).setUses(5),
            UseLimits.newBuilder().setUses(5))) {
      assertRefused(
          () ->
              secrets.narrowSecret(
                  NarrowSecretRequest.newBuilder().setName("narrowed").setLimits(wider).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_WIDENED);
    }
    UseLimits lower = rate(5, 60).setUses(3).build();
    var _ =
        secrets.narrowSecret(
            NarrowSecretRequest.newBuilder().setName("narrowed").setLimits(lower).build());

    assertThat(
            secrets.listSecrets(ListSecretsRequest.getDefaultInstance()).getSecretsList().stream()
                .filter(secret -> secret.getName().equals("narrowed"))
                .toList())
        .singleElement()
        .satisfies(secret -> assertThat(secret.getLimits()).isEqualTo(lower));
    // What was used so far counts.
    use(attached.request());
    assertCapped(attached);
  }

  @Test
  void limitsThatMakeNoSenseAreRefused() {
    String token = broker.secretsToken("senseless");
    for (UseLimits.Builder limits :
        List.of(
            UseLimits.newBuilder().setUses(-1),
            rate(-1, 60),
            rate(1, 0),
            rate(1, 86_401),
            rate(0, 60),
            rate(1, Long.MAX_VALUE))) {
      assertRefused(
          () -> broker.secrets(token).putSecret(put("x", VALUE).setLimits(limits).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_INVALID);
    }
  }
}
