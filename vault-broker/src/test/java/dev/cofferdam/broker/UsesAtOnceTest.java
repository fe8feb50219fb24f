package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.egressReason;
import static dev.cofferdam.broker.TestBroker.PATIENCE_S;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.put;
import static dev.cofferdam.broker.TestBroker.use;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc.AttachmentServiceBlockingStub;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.NarrowSecretRequest;
import dev.cofferdam.v1.RotateSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.UseLimits;
import dev.cofferdam.v1.Verdict;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Uses that share a transaction: each has an answer of its own, and none has one before it. */
class UsesAtOnceTest extends BrokerTest {
  private static final int GOOD = 10;
  private static final int ROUNDS = 20;
  private static final Pattern UNDER_WAY =
      Pattern.compile(
          "cofferdam_rpc_server_active\\{[^}]*rpc_service=\"[^\"]*AttachmentService\"[^}]*}"
              + " ([0-9.]+)");

  /** What each use has come to: the value, or why not. */
  private record Told(String text) {
    static final Told VALUE_OF_SECRET = new Told(VALUE);

    static Told of(Future<String> answer) throws InterruptedException {
      try {
        return new Told(answer.get());
      } catch (ExecutionException e) {
        if (!(e.getCause() instanceof StatusRuntimeException status)) {
          throw new AssertionError(e);
        }
        String egress = egressReason(status);
        return new Told(
            egress.isEmpty()
                ? Refusals.reason(status).map(ErrorReason::name).orElse(status.toString())
                : egress);
      }
    }
  }

  /**
   * All at once, behind one whose transaction is held up until they wait for the next; the answers
   * of those, in their order.
   */
  private List<Told> together(Attached first, List<MaterializeRequest> requests) throws Exception {
    AttachmentServiceBlockingStub gateway = broker.gateway("g1");
    // Connects before the lock is taken, which is not held for long.
    assertThatThrownBy(
            () -> value(gateway, first.request().setSandbox(broker.newSandbox()).build()))
        .isInstanceOf(StatusRuntimeException.class);
    try (ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor();
        Connection connection = broker.database.connect();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      try (ResultSet held =
          statement.executeQuery("select from audit_head where tenant = 'acme' for update")) {
        assertThat(held.next()).isTrue();
      }
      List<Future<String>> answers = new ArrayList<>();
      answers.add(callers.submit(() -> value(gateway, first.request().build())));
      awaitOneThatWaits();
      for (MaterializeRequest request : requests) {
        answers.add(callers.submit(() -> value(gateway, request)));
      }
      awaitUnderWay(answers.size());
      assertThat(answers).noneMatch(Future::isDone);
      connection.rollback();
      List<Told> told = new ArrayList<>();
      for (Future<String> answer : answers.subList(1, answers.size())) {
        told.add(Told.of(answer));
      }
      return told;
    }
  }

  private static String value(AttachmentServiceBlockingStub gateway, MaterializeRequest request) {
    return String.join(",", TestBroker.texts(gateway.materialize(request)));
  }

  /** On its record: its transaction has begun. */
  private void awaitOneThatWaits() throws SQLException {
    awaitTrue(
        () -> number("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") > 0);
  }

  private void awaitUnderWay(int calls) throws SQLException {
    awaitTrue(() -> {
      Matcher active = UNDER_WAY.matcher(metrics());
      return active.find() && Double.parseDouble(active.group(1)) >= calls;
    });
  }

  @FunctionalInterface
  private interface Question {
    boolean ask() throws SQLException;
  }

  private static void awaitTrue(Question question) throws SQLException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
    while (!question.ask()) {
      assertThat(System.nanoTime()).isLessThan(end);
      LockSupport.parkNanos(5_000_000);
    }
  }

  private String metrics() {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(
              HttpRequest.newBuilder(
                      URI.create("http://127.0.0.1:" + broker.app().adminPort() + "/metrics"))
                  .build(),
              HttpResponse.BodyHandlers.ofString())
          .body();
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private long number(String sql) throws SQLException {
    try (Connection connection = broker.database.connect();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      assertThat(row.next()).isTrue();
      return row.getLong(1);
    }
  }

  private void execute(String sql) throws SQLException {
    try (Connection connection = broker.database.connect();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private List<AuditEvent> uses(Attached attached) {
    return broker.events(attached.apiToken()).stream()
        .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
        .filter(event -> event.getSandbox().equals(attached.sandbox()))
        .toList();
  }

  /** Whether the records of these sandboxes' last uses are of one transaction. */
  private boolean committedTogether(Attached... all) throws SQLException {
    List<String> ids = new ArrayList<>();
    for (Attached attached : all) {
      ids.add("'" + attached.sandbox() + "'");
    }
    return number(
            "select count(distinct last) from (select max(xmin::text::bigint) as last"
                + " from audit_event where type = %d and sandbox in (%s) group by sandbox) t"
                    .formatted(AuditEventType.AUDIT_EVENT_TYPE_USE_VALUE, String.join(", ", ids)))
        == 1;
  }

  @Test
  void whoIsRefusedInABatchIsRefusedAlone() throws Exception {
    Attached good = broker.attached("batch-good");
    Attached revoked = broker.attached("batch-revoked");
    var _ =
        broker
            .scheduler("")
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(revoked.sandbox()).build());
    String token = broker.secretsToken("acme");
    var _ =
        broker
            .secrets(token)
            .putSecret(
                put("batch-once", VALUE).setLimits(UseLimits.newBuilder().setUses(1)).build());
    boolean joint = false;
    for (int round = 0; round < ROUNDS && !joint; round++) {
      Attached once =
          broker.attached("batch-once", broker.apiToken("acme"), token, "g1", broker.nextSlot());
      int before = uses(good).size();
      List<MaterializeRequest> requests = new ArrayList<>();
      requests.add(revoked.request().build());
      requests.add(
          good.request()
              .clearUses()
              .addUses(use(once.placeholder(), "header:authorization"))
              .build());
      requests.add(once.request().build());
      requests.add(once.request().build());
      requests.add(once.request().build());
      for (int i = 0; i < GOOD; i++) {
        requests.add(good.request().build());
      }
      List<Told> told = together(good, requests);
      assertThat(told.subList(0, 2))
          .containsExactly(new Told("GRANT_REVOKED"), new Told("PLACEHOLDER_FOREIGN"));
      // A cap holds within a batch too.
      assertThat(told.subList(2, 5))
          .containsExactlyInAnyOrder(
              Told.VALUE_OF_SECRET, new Told("CAP_EXCEEDED"), new Told("CAP_EXCEEDED"));
      assertThat(told.subList(5, told.size())).hasSize(GOOD).containsOnly(Told.VALUE_OF_SECRET);
      assertThat(uses(good)).hasSize(before + 1 + 1 + GOOD);
      assertThat(uses(once))
          .extracting(AuditEvent::getVerdict)
          .containsExactlyInAnyOrder(
              Verdict.VERDICT_ALLOWED, Verdict.VERDICT_DENIED, Verdict.VERDICT_DENIED);
      joint = committedTogether(good, revoked, once);
    }
    assertThat(joint).as("a batch with all of them in it").isTrue();
  }

  @Test
  void whereTheCommitFailsNoneOfItsBatchHasAValue() throws Exception {
    Attached good = broker.attached("batch-lost");
    execute(
        "create function refuse_commit() returns trigger language plpgsql as"
            + " $$ begin raise exception 'not taken'; end $$");
    // Seen by the commit alone: until then each has been inserted without a complaint.
    execute(
        "create constraint trigger commit_refused after insert on audit_event deferrable"
            + " initially deferred for each row when (new.sandbox = '%s' and new.type = %d)"
                .formatted(good.sandbox(), AuditEventType.AUDIT_EVENT_TYPE_USE_VALUE)
            + " execute function refuse_commit()");
    List<MaterializeRequest> requests = new ArrayList<>();
    for (int i = 0; i < GOOD; i++) {
      requests.add(good.request().build());
    }
    assertThat(together(good, requests))
        .hasSize(GOOD)
        .containsOnly(new Told("ERROR_REASON_DATABASE_UNAVAILABLE"));
    assertThat(uses(good)).isEmpty();

    execute("drop trigger commit_refused on audit_event");
    assertThat(value(broker.gateway("g1"), good.request().build())).isEqualTo(VALUE);
    assertThat(uses(good)).hasSize(1);
  }

  @Test
  void whatChangedIsInForceAtABrokerThatUsedTheSecretBefore() throws Exception {
    BrokerApp second = broker.another("b-second");
    Attached attached = broker.attached("changed-elsewhere");
    var other =
        AttachmentServiceGrpc.newBlockingStub(
                broker.peer("egress-gateway", "g1", second.meshPort()))
            .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
    assertThat(value(other, attached.request().build())).isEqualTo(VALUE);

    var _ =
        broker
            .secrets(attached.secretsToken())
            .rotateSecret(
                RotateSecretRequest.newBuilder()
                    .setName("changed-elsewhere")
                    .setValue(ByteString.copyFromUtf8(VALUE + "-next"))
                    .build());
    assertThat(value(other, attached.request().build())).isEqualTo(VALUE + "-next");

    var _ =
        broker
            .secrets(attached.secretsToken())
            .narrowSecret(
                NarrowSecretRequest.newBuilder()
                    .setName("changed-elsewhere")
                    .addBindings(
                        SecretBinding.newBuilder()
                            .addHosts(TestBroker.HOST)
                            .addTargets("header:x-api-key"))
                    .build());
    Refused.assertEgressRefused(
        () -> value(other, attached.request().build()),
        EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
  }
}
