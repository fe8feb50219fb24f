package dev.cofferdam.broker;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.broker.grant.Retention;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.internal.v1.GrantOrigin;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.v1.ForkMode;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which rows go, and when. */
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class RetentionTest extends BrokerTest {
  private Database database;
  private Retention retention;

  @BeforeEach
  void open() {
    var own = broker.database;
    database = Database.open(own.url(), own.user(), own.password(), 2, new SimpleMeterRegistry());
    retention = new Retention(database, broker.clock, Duration.ofDays(30));
  }

  @AfterEach
  void close() {
    database.close();
  }

  private List<String> sandboxesIn(String table) {
    return database.transact(
        tx -> tx.list("select sandbox from " + table, row -> row.getString(1)));
  }

  @Test
  void ticketsGoAnHourAfterTheirExpirySpentOrNot() {
    Attached spent = broker.attached("tickets");
    String unused = broker.newSandbox();
    var _ = broker.scheduler(spent.apiToken()).createGrants(TestBroker.grants(unused));
    broker.clock.advance(Duration.ofMinutes(61));
    retention.sweep();
    assertThat(sandboxesIn("attach_ticket")).contains(spent.sandbox(), unused);
    broker.clock.advance(Duration.ofMillis(1));
    retention.sweep();
    assertThat(sandboxesIn("attach_ticket")).isEmpty();
  }

  @Test
  void attachmentsGoAWeekAfterTheirSandboxesEndAndLiveOnesStay() {
    Attached live = broker.attached("attachments");
    Attached ended =
        broker.attached(
            "attachments", live.apiToken(), live.secretsToken(), "g1", broker.nextSlot());
    var _ =
        broker
            .scheduler("")
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(ended.sandbox()).build());
    broker.clock.advance(Duration.ofDays(7));
    retention.sweep();
    assertThat(sandboxesIn("attachment")).contains(live.sandbox(), ended.sandbox());
    broker.clock.advance(Duration.ofMillis(1));
    retention.sweep();
    assertThat(sandboxesIn("attachment")).contains(live.sandbox()).doesNotContain(ended.sandbox());
  }

  @Test
  void grantsGoWithTheirTimeAndACopyMadeLaterInheritsNothingButTheRoot() {
    String secretsToken = broker.secretsToken("acme");
    var _ =
        broker
            .secrets(secretsToken)
            .putSecret(
                TestBroker.put("grants", TestBroker.VALUE)
                    .setForkMode(ForkMode.FORK_MODE_INHERIT)
                    .build());
    Attached live =
        broker.attached("grants", broker.apiToken("acme"), secretsToken, "g1", broker.nextSlot());
    Attached ended =
        broker.attached("grants", live.apiToken(), secretsToken, "g1", broker.nextSlot());
    var _ =
        broker
            .scheduler("")
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(ended.sandbox()).build());
    broker.clock.advance(Duration.ofDays(30));
    retention.sweep();
    assertThat(inherited(ended)).isEqualTo(1);
    assertThat(sandboxesIn("secret_grant")).contains(live.sandbox(), ended.sandbox());
    broker.clock.advance(Duration.ofMillis(1));
    retention.sweep();
    assertThat(sandboxesIn("secret_grant"))
        .contains(live.sandbox())
        .doesNotContain(ended.sandbox());
    assertThat(inherited(ended)).isZero();
    assertThat(inherited(live)).isEqualTo(1);
  }

  /** How many placeholders a copy that is made now answers to, besides its own. */
  private int inherited(Attached origin) {
    var granted =
        broker
            .scheduler(origin.apiToken())
            .createGrants(
                TestBroker.grants(broker.newSandbox(), "grants").toBuilder()
                    .setOrigin(
                        GrantOrigin.newBuilder().setSandbox(origin.sandbox()).setGeneration(1))
                    .build());
    return broker
        .gateway("g1")
        .redeemTicket(TestBroker.redeem(granted.getAttachTicket(), broker.nextSlot()))
        .getSecrets(0)
        .getInheritedSha256Count();
  }

  @Test
  void moreThanOneBatchGoes() {
    Attached attached = broker.attached("batches");
    int inserted =
        database.transact(tx ->
            tx.update(
                "insert into attach_ticket (sha256, tenant, sandbox, generation, node, epoch,"
                    + " expire_time) select sha256(n::text::bytea), 'acme', ?, 1, 'n1', 1, ?"
                    + " from generate_series(1, 2500) n",
                attached.sandbox(),
                broker.clock.instant().minus(Duration.ofHours(2))));
    assertThat(inserted).isEqualTo(2500);
    retention.sweep();
    assertThat(sandboxesIn("attach_ticket")).containsExactly(attached.sandbox());
  }
}
