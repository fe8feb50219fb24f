package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.DetachRequest;
import dev.cofferdam.internal.v1.Drop;
import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import dev.cofferdam.internal.v1.ReportDecisionsResponse;
import dev.cofferdam.internal.v1.ReportDropsRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListAuditEventsRequest;
import dev.cofferdam.v1.Verdict;
import dev.cofferdam.v1.WatchAuditEventsRequest;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** The record: what goes in exactly once, in which order, and that it stays. */
class AuditTest extends BrokerTest {
  private List<AuditEvent> events(Attached attached, AuditEventType type) {
    return broker.events(attached.apiToken()).stream()
        .filter(event -> event.getType() == type)
        .filter(event -> event.getSandbox().equals(attached.sandbox()))
        .toList();
  }

  /** Sends a spool's decisions on one stream and returns the last number acknowledged. */
  private long report(String gateway, List<ReportDecisionsRequest> decisions)
      throws InterruptedException {
    BlockingQueue<Object> heard = new LinkedBlockingQueue<>();
    StreamObserver<ReportDecisionsRequest> out =
        broker
            .gatewayStreams(gateway)
            .reportDecisions(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ReportDecisionsResponse response) {
                    heard.add(response.getNumber());
                  }

                  @Override
                  public void onError(Throwable t) {
                    heard.add(t);
                  }

                  @Override
                  public void onCompleted() {
                    heard.add("completed");
                  }
                });
    decisions.forEach(out::onNext);
    out.onCompleted();
    long last = -1;
    while (true) {
      Object next = heard.poll(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
      if (next instanceof Long number) {
        last = number;
      } else if ("completed".equals(next)) {
        return last;
      } else {
        throw new AssertionError("heard " + next);
      }
    }
  }

  private static ReportDecisionsRequest decision(Attached attached, String spool, long number) {
    return ReportDecisionsRequest.newBuilder()
        .setSpool(spool)
        .setNumber(number)
        .setTenant("somebody-else")
        .setEvent(
            AuditEvent.newBuilder()
                .setType(AuditEventType.AUDIT_EVENT_TYPE_USE)
                .setSandbox(attached.sandbox())
                .setHost("api.example.com")
                .setPath("/v1?key=private")
                .setStatus((int) number)
                .setReportedBy("broker"))
        .build();
  }

  @Test
  void decisionsAreKeptOnceAsTheGatewaysAndInTheTenantsNameThatTheBrokerKnows() throws Exception {
    Attached attached = broker.attached("decisions");
    List<ReportDecisionsRequest> three =
        List.of(
            decision(attached, "s1", 1), decision(attached, "s1", 2), decision(attached, "s1", 3));
    assertThat(report("g1", three)).isEqualTo(3);
    assertThat(report("g1", three)).isEqualTo(3);
    assertThat(report("g1", List.of(decision(attached, "s1", 4)))).isEqualTo(4);
    List<AuditEvent> kept = events(attached, AuditEventType.AUDIT_EVENT_TYPE_DECISION);
    assertThat(kept).extracting(AuditEvent::getStatus).containsExactly(1, 2, 3, 4);
    assertThat(kept)
        .allSatisfy(event -> {
          assertThat(event.getReportedBy()).isEqualTo("gateway");
          assertThat(event.getPath()).isEqualTo("/v1");
        });
    assertThat(events(attached, AuditEventType.AUDIT_EVENT_TYPE_USE)).isEmpty();
  }

  @Test
  void manyInOneMessageAreKeptAsIfEachHadItsOwn() throws Exception {
    Attached attached = broker.attached("one-message");
    ReportDecisionsRequest many =
        decision(attached, "many", 1).toBuilder()
            .addFollowing(decision(attached, "many", 2))
            .addFollowing(decision(attached, "many", 4))
            .build();
    assertThat(report("g1", List.of(many))).isEqualTo(4);
    assertThat(report("g1", List.of(many))).isEqualTo(4);
    assertThat(events(attached, AuditEventType.AUDIT_EVENT_TYPE_DECISION))
        .extracting(AuditEvent::getStatus)
        .containsExactly(1, 2, 4);
    assertThat(broker.events(attached.apiToken()))
        .filteredOn(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_GAP)
        .extracting(AuditEvent::getCount)
        .contains(1L);
  }

  /** A commit to disk is what a decision costs most of. */
  @Test
  void whatComesInOneMessageIsOneTransaction() throws Exception {
    Attached attached = broker.attached("one-transaction");
    ReportDecisionsRequest.Builder many = decision(attached, "whole", 1).toBuilder();
    for (int number = 2; number <= 200; number++) {
      many.addFollowing(decision(attached, "whole", number));
    }
    assertThat(report("g1", List.of(many.build()))).isEqualTo(200);
    try (Connection connection = broker.database.connect();
        Statement statement = connection.createStatement();
        ResultSet rows =
            statement.executeQuery(
                "select count(*), count(distinct xmin::text) from audit_event where sandbox = '%s' and type = %d"
                    .formatted(
                        attached.sandbox(), AuditEventType.AUDIT_EVENT_TYPE_DECISION_VALUE))) {
      assertThat(rows.next()).isTrue();
      assertThat(rows.getInt(1)).isEqualTo(200);
      assertThat(rows.getInt(2)).isEqualTo(1);
    }
  }

  @Test
  void spoolsOfTwoGatewaysAreApart() throws Exception {
    Attached one = broker.attached("two-spools");
    Attached two =
        broker.attached("two-spools", one.apiToken(), one.secretsToken(), "g2", broker.nextSlot());
    assertThat(report("g1", List.of(decision(one, "same", 1)))).isEqualTo(1);
    assertThat(report("g2", List.of(decision(two, "same", 1)))).isEqualTo(1);
    assertThat(events(one, AuditEventType.AUDIT_EVENT_TYPE_DECISION)).hasSize(1);
    assertThat(events(two, AuditEventType.AUDIT_EVENT_TYPE_DECISION)).hasSize(1);
  }

  @Test
  void whatAGatewaySaysOfAnothersSandboxIsNoTenants() throws Exception {
    Attached attached = broker.attached("foreign-report");
    assertThat(report("g2", List.of(decision(attached, "foreign", 1)))).isEqualTo(1);
    assertThat(events(attached, AuditEventType.AUDIT_EVENT_TYPE_DECISION)).isEmpty();
    try (Connection connection = broker.database.connect();
        Statement statement = connection.createStatement();
        var rows =
            statement.executeQuery(
                "select tenant from audit_event where sandbox = '%s' and type = %d"
                    .formatted(
                        attached.sandbox(), AuditEventType.AUDIT_EVENT_TYPE_DECISION_VALUE))) {
      assertThat(rows.next()).as("it is on record all the same").isTrue();
      assertThat(rows.getString(1)).isEmpty();
    }
  }

  @Test
  void aSpoolThatComesAfterTheEndIsStillTheTenants() throws Exception {
    Attached attached = broker.attached("late-report");
    var _ =
        broker
            .gateway("g1")
            .detach(
                DetachRequest.newBuilder()
                    .setSandbox(attached.sandbox())
                    .setNode("n1")
                    .setEpoch(1)
                    .build());
    assertThat(report("g1", List.of(decision(attached, "late", 1)))).isEqualTo(1);
    assertThat(events(attached, AuditEventType.AUDIT_EVENT_TYPE_DECISION)).hasSize(1);
  }

  @Test
  void whatNeverCameBecomesAGapForAllItMayHaveConcerned() throws Exception {
    Attached attached = broker.attached("gap");
    assertThat(
            report(
                "g1",
                List.of(
                    decision(attached, "gap", 1),
                    decision(attached, "gap", 2),
                    decision(attached, "gap", 7))))
        .isEqualTo(7);
    List<AuditEvent> gaps =
        broker.events(attached.apiToken()).stream()
            .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_GAP)
            .filter(event -> event.getMessage().contains("spool gap"))
            .toList();
    assertThat(gaps).hasSize(1);
    assertThat(gaps.getFirst().getCount()).isEqualTo(4);
    assertThat(metrics())
        .containsPattern("cofferdam_broker_audit_gaps_total [1-9]")
        .containsPattern(
            "cofferdam_broker_audit_lag_seconds_count\\{reported_by=\"gateway\"\\} [1-9]");
  }

  private String metrics() throws Exception {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(
              HttpRequest.newBuilder(
                      URI.create("http://127.0.0.1:" + broker.app().adminPort() + "/metrics"))
                  .build(),
              HttpResponse.BodyHandlers.ofString())
          .body();
    }
  }

  @Test
  void aStreamOfTwoSpoolsIsRefused() {
    Attached attached = broker.attached("mixed");
    assertThatThrownBy(
            () -> report("g1", List.of(decision(attached, "m1", 1), decision(attached, "m2", 1))))
        .hasMessageContaining("INVALID_ARGUMENT");
  }

  @Test
  void dropsAreTheNodesWordAboutItsOwnSandboxes() {
    Attached attached = broker.attached("drops");
    ReportDropsRequest.Builder report =
        ReportDropsRequest.newBuilder()
            .setNode("n1")
            .addDrops(
                Drop.newBuilder()
                    .setSandbox(attached.sandbox())
                    .setProtocol("udp")
                    .setDestination("192.0.2.53")
                    .setPort(53)
                    .setCount(17)
                    .setFirstTimeMs(1_772_600_000_000L));
    var _ = broker.node("n1").reportDrops(report.build());
    List<AuditEvent> drops = events(attached, AuditEventType.AUDIT_EVENT_TYPE_DROP);
    assertThat(drops).hasSize(1);
    AuditEvent drop = drops.getFirst();
    assertThat(drop.getReportedBy()).isEqualTo("node");
    assertThat(drop.getProtocol()).isEqualTo("udp");
    assertThat(drop.getHost()).isEqualTo("192.0.2.53");
    assertThat(drop.getCount()).isEqualTo(17);
    assertThat(drop.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);

    assertRefused(
        () -> broker.node("n2").reportDrops(report.build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    var _ = broker.node("n2").reportDrops(report.setNode("n2").build());
    assertThat(events(attached, AuditEventType.AUDIT_EVENT_TYPE_DROP)).hasSize(1);
  }

  @Test
  void rowsCannotBeChangedOrRemoved() throws SQLException {
    var _ = broker.attached("append-only");
    try (Connection connection = broker.database.connect();
        Statement statement = connection.createStatement()) {
      for (String sql :
          List.of(
              "update audit_event set sandbox = 'x'",
              "delete from audit_event",
              "truncate audit_event")) {
        assertThatThrownBy(() -> statement.execute(sql)).hasMessageContaining("append-only");
      }
    }
  }

  @Test
  void theChainFindsWhatWasChangedRemovedOrCutOff() throws SQLException {
    var _ = broker.attached("chain");
    try (Database database =
            Database.open(
                broker.database.url(),
                broker.database.user(),
                broker.database.password(),
                2,
                new SimpleMeterRegistry());
        Connection connection = broker.database.connect();
        Statement statement = connection.createStatement()) {
      AuditLog log = new AuditLog(database, "reader");
      assertThat(log.firstBroken("b1")).isEmpty();
      // As somebody with the database's owner's rights and no scruples would.
      statement.execute("alter table audit_event disable trigger all");
      connection.setAutoCommit(false);
      for (String forgery :
          List.of(
              "update audit_event set event = event || '\\x5800' where broker='b1' and number=2",
              "update audit_event set tenant = 'other' where broker = 'b1' and number = 2",
              "delete from audit_event where broker = 'b1' and number = 2")) {
        assertThat(statement.executeUpdate(forgery)).isEqualTo(1);
        connection.commit();
        assertThat(log.firstBroken("b1")).as(forgery).contains(2L);
        statement.execute("delete from audit_event where broker = 'b1'");
        statement.execute(
            "update audit_chain set number = 0, hash = decode(repeat('00', 32), 'hex') where broker"
                + " = 'b1'");
        connection.commit();
        var _ = broker.attached("chain-" + forgery.length());
        assertThat(log.firstBroken("b1")).isEmpty();
      }
      statement.execute(
          "delete from audit_event where broker = 'b1' and number ="
              + " (select max(number) from audit_event where broker = 'b1')");
      connection.commit();
      assertThat(log.firstBroken("b1")).isPresent();
      statement.execute("alter table audit_event enable trigger all");
      connection.commit();
    }
  }

  /**
   * Writers at two brokers, watchers at both: each watcher sees every row once, in order, whenever
   * it begins and wherever it resumes.
   */
  @Test
  void aWatcherMissesNothingAndGetsNothingTwice() throws Exception {
    BrokerApp second = broker.another("b2");
    Attached attached = broker.attached("watched");
    String from = broker.events(attached.apiToken()).getLast().getCursor();
    int writers = 6;
    int each = 25;
    var gateways =
        List.of(
            broker.gateway("g1"),
            AttachmentServiceGrpc.newBlockingStub(
                broker.peer("egress-gateway", "g1", second.meshPort())));
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<List<AuditEvent>>> watchers = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        boolean resuming = i == 2;
        watchers.add(
            threads.submit(() -> watch(attached, from, writers * each, resuming ? 7 : 1000)));
      }
      List<Future<?>> written = new ArrayList<>();
      for (int i = 0; i < writers; i++) {
        var gateway = gateways.get(i % 2);
        int writer = i;
        written.add(
            threads.submit(() -> {
              for (int n = 0; n < each; n++) {
                var _ =
                    gateway.materialize(
                        attached.request().setRequest("%d-%d".formatted(writer, n)).build());
              }
              return null;
            }));
      }
      for (Future<?> one : written) {
        one.get();
      }
      List<AuditEvent> listed =
          broker
              .audit(attached.apiToken())
              .listAuditEvents(
                  ListAuditEventsRequest.newBuilder().setCursor(from).setPageSize(1000).build())
              .getEventsList();
      assertThat(listed).hasSize(writers * each);
      assertThat(new HashSet<>(listed.stream().map(AuditEvent::getRequest).toList()))
          .hasSize(writers * each);
      assertThat(listed).isSortedAccordingTo(java.util.Comparator.comparing(AuditEvent::getCursor));
      for (Future<List<AuditEvent>> watcher : watchers) {
        assertThat(watcher.get()).isEqualTo(listed);
      }
    }
  }

  /** Ends and resumes its stream after so many events. */
  private List<AuditEvent> watch(Attached attached, String from, int count, int perStream)
      throws Exception {
    List<AuditEvent> seen = new ArrayList<>();
    String cursor = from;
    while (seen.size() < count) {
      String start = cursor;
      try (var context = Context.current().withCancellation()) {
        cursor =
            context.call(() -> {
              String last = start;
              Iterator<AuditEvent> stream =
                  broker
                      .audit(attached.apiToken())
                      .watchAuditEvents(
                          WatchAuditEventsRequest.newBuilder()
                              .setCursor(start)
                              .setSandbox(attached.sandbox())
                              .build());
              for (int n = 0; n < perStream && seen.size() < count; n++) {
                AuditEvent event = stream.next();
                seen.add(event);
                last = event.getCursor();
              }
              return last;
            });
      }
    }
    return seen;
  }

  @Test
  void whatWasDeniedIsListedAndWatchedByItself() throws Exception {
    Attached attached = broker.attached("denied");
    List<ReportDecisionsRequest> decisions = new ArrayList<>();
    for (int number = 1; number <= 600; number++) {
      ReportDecisionsRequest.Builder decision = decision(attached, "verdicts", number).toBuilder();
      decision
          .getEventBuilder()
          .setVerdict(number % 200 == 0 ? Verdict.VERDICT_DENIED : Verdict.VERDICT_ALLOWED);
      decisions.add(decision.build());
    }
    assertThat(report("g1", decisions)).isEqualTo(600);
    var audit = broker.audit(attached.apiToken());
    List<Integer> listed = new ArrayList<>();
    String cursor = "";
    do {
      var page =
          audit.listAuditEvents(
              ListAuditEventsRequest.newBuilder()
                  .setSandbox(attached.sandbox())
                  .setVerdict(Verdict.VERDICT_DENIED)
                  .setPageSize(7)
                  .setCursor(cursor)
                  .build());
      page.getEventsList().forEach(event -> listed.add(event.getStatus()));
      cursor = page.getNextCursor();
    } while (!cursor.isEmpty());
    assertThat(listed).containsExactly(200, 400, 600);
    try (var context = Context.current().withCancellation()) {
      context.run(() -> {
        Iterator<AuditEvent> watched =
            audit.watchAuditEvents(
                WatchAuditEventsRequest.newBuilder()
                    .setVerdict(Verdict.VERDICT_DENIED)
                    .setType(AuditEventType.AUDIT_EVENT_TYPE_DECISION)
                    .build());
        for (int status : listed) {
          assertThat(watched.next().getStatus()).isEqualTo(status);
        }
      });
    }
  }

  @Test
  void pagesAndFiltersAndCursors() {
    Attached attached = broker.attached("filters");
    var audit = broker.audit(attached.apiToken());
    var page =
        audit.listAuditEvents(
            ListAuditEventsRequest.newBuilder()
                .setSandbox(attached.sandbox())
                .setType(AuditEventType.AUDIT_EVENT_TYPE_CHANGE)
                .setPageSize(1)
                .build());
    assertThat(page.getEventsList()).hasSize(1);
    assertThat(page.getNextCursor()).isEqualTo(page.getEvents(0).getCursor());
    assertRefused(
        () -> audit.listAuditEvents(ListAuditEventsRequest.newBuilder().setTypeValue(99).build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(
        () -> audit.listAuditEvents(ListAuditEventsRequest.newBuilder().setVerdictValue(9).build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(
        () -> audit.listAuditEvents(ListAuditEventsRequest.newBuilder().setCursor("no").build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_CURSOR_INVALID);
    String stranger = broker.apiToken("stranger");
    assertThat(
            broker
                .audit(stranger)
                .listAuditEvents(
                    ListAuditEventsRequest.newBuilder().setSandbox(attached.sandbox()).build())
                .getEventsList())
        .isEmpty();
  }
}
