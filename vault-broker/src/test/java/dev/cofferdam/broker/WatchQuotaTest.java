package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.WatchAuditEventsRequest;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Iterator;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** One tenant's watches are no other's burden. */
class WatchQuotaTest extends BrokerTest {
  private static final int QUOTA = 32;

  @Override
  Map<String, String> extraSettings() {
    // As few as there may be.
    return Map.of("database.pool-size", "2");
  }

  /** Open once its first event is there. */
  private Iterator<AuditEvent> watch(String token) {
    Iterator<AuditEvent> watch =
        broker.audit(token).watchAuditEvents(WatchAuditEventsRequest.getDefaultInstance());
    assertThat(watch.hasNext()).isTrue();
    return watch;
  }

  @Test
  void oneMoreThanTheQuotaIsRefusedAndUsesAndOtherTenantsGoOn() throws Exception {
    Attached attached = broker.attached("watched");
    try (var context = Context.current().withCancellation()) {
      context.run(() -> {
        for (int i = 0; i < QUOTA; i++) {
          var _ = watch(attached.apiToken());
        }
      });
      assertRefused(
          () -> watch(attached.apiToken()),
          Status.Code.RESOURCE_EXHAUSTED,
          ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
      assertThat(broker.gateway("g1").materialize(attached.request().build()).getValuesCount())
          .isEqualTo(1);
      String other = broker.apiToken("other");
      var _ = broker.scheduler(other).createGrants(TestBroker.grants(broker.newSandbox()));
      var _ = watch(other);
    }
    awaitOneIsTakenAgain(attached.apiToken());
  }

  /** The broker learns of the ends of the others a little later than they do. */
  private void awaitOneIsTakenAgain(String token) {
    while (true) {
      try {
        var _ = watch(token);
        return;
      } catch (StatusRuntimeException e) {
        assertThat(Refusals.reason(e))
            .isEqualTo(Optional.of(ErrorReason.ERROR_REASON_QUOTA_EXCEEDED));
      }
    }
  }
}
