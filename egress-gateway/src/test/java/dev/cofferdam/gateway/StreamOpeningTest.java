package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.cofferdam.gateway.broker.AttachmentSync;
import dev.cofferdam.gateway.broker.BrokerClient;
import dev.cofferdam.gateway.broker.DecisionLine;
import dev.cofferdam.gateway.slot.PolicyLease;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.testkit.ClosedPort;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The streams to the broker open under the same circuit as the calls. */
final class StreamOpeningTest {
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
  private ClosedPort closed;
  private ManagedChannel nobody;
  private BrokerClient broker;

  @BeforeEach
  void start() throws Exception {
    closed = ClosedPort.at("127.0.0.1");
    nobody = NettyChannelBuilder.forAddress("127.0.0.1", closed.port()).usePlaintext().build();
    broker = new BrokerClient(nobody, meters);
  }

  @AfterEach
  void stop() throws IOException {
    nobody.shutdownNow();
    closed.close();
  }

  @Test
  void afterFailuresTheDecisionsAreNotOpenedAnew() {
    DecisionLine line = new DecisionLine(broker);
    Optional<ErrorReason> last = Optional.empty();
    for (int i = 0; i < 6; i++) {
      last = Refusals.reason(catchThrowable(() -> line.open(_ -> {}, () -> {})));
    }
    assertThat(last).contains(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE);
  }

  @Test
  void theAttachmentsCountAsCallsThatFailed() {
    PolicyLease lease = new PolicyLease(System::nanoTime);
    try (AttachmentSync _ =
        new AttachmentSync(
            broker, new SlotTable(() -> 0, InstantSource.system()), lease, _ -> {}, "test")) {
      long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      while (meters.get("resilience4j.circuitbreaker.calls").tag("kind", "failed").timer().count()
          == 0) {
        assertThat(System.nanoTime()).as("no opening was counted").isLessThan(end);
        LockSupport.parkNanos(1_000_000);
      }
    }
  }
}
