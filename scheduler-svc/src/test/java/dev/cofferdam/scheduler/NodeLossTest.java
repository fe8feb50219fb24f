package dev.cofferdam.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Duration;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxState;
import io.grpc.Status;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/**
 * A node that is not heard of for too long: what its sandboxes could use is out of use until it is
 * back.
 */
class NodeLossTest extends MeshTest {
  private static final java.time.Duration TOO_LONG = java.time.Duration.ofSeconds(61);

  @Override
  Map<String, String> settings() {
    return Map.of("node.lost-after", "60s");
  }

  @Test
  void itsGrantsAreOutOfUseUntilItIsBackAndItsSandboxesStay() throws Exception {
    String id = create().getId();
    mesh.connect().leave();
    awaitTrue(() -> absent());
    mesh.clock.advance(TOO_LONG);
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_NODE_LOST);
    awaitTrue(() -> mesh.broker.suspended.contains("n1"));
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    var _ = mesh.connect();
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_NODE_BACK);
    assertThat(mesh.broker.suspended).isEmpty();
    assertThat(state(id)).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void oneThatIsBackInTimeIsNotLost() throws Exception {
    String id = create().getId();
    mesh.connect().leave();
    awaitTrue(() -> absent());
    mesh.clock.advance(java.time.Duration.ofSeconds(40));
    var _ = mesh.connect();
    // The marker: whatever this time brings about has been looked at when this has ended.
    String marker =
        acme.createSandbox(
                CreateSandboxRequest.newBuilder()
                    .setLifetime(Duration.newBuilder().setSeconds(1))
                    .build())
            .getId();
    mesh.clock.advance(java.time.Duration.ofSeconds(5));
    awaitEvent(marker, SandboxEventType.SANDBOX_EVENT_TYPE_ENDED);
    assertThat(mesh.broker.calls).doesNotContain("SuspendGrants");
    assertThat(events(id)).doesNotContain(SandboxEventType.SANDBOX_EVENT_TYPE_NODE_LOST);
  }

  @Test
  void neitherTheTimeNorTheLossIsForgottenByARestart() throws Exception {
    String id = create().getId();
    mesh.connect().leave();
    awaitTrue(() -> absent());
    mesh.stop();
    mesh.clock.advance(TOO_LONG);
    mesh.start();
    acme = mesh.sandboxes(token);
    // The scheduler was away itself: the node gets a moment to say that it is there.
    assertThat(mesh.broker.calls).doesNotContain("SuspendGrants");
    mesh.clock.advance(java.time.Duration.ofSeconds(11));
    awaitTrue(() -> mesh.broker.suspended.contains("n1"));
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_NODE_LOST);
    mesh.stop();
    mesh.start();
    acme = mesh.sandboxes(token);
    var _ = mesh.connect();
    awaitEvent(id, SandboxEventType.SANDBOX_EVENT_TYPE_NODE_BACK);
    assertThat(mesh.broker.suspended).isEmpty();
  }

  @Test
  void aBrokerThatIsAwayIsToldLaterAndLastWhatIsSoLast() throws Exception {
    String id = create().getId();
    mesh.broker.hook = failing("SuspendGrants, done", Status.UNAVAILABLE.asRuntimeException());
    mesh.connect().leave();
    awaitTrue(() -> absent());
    mesh.clock.advance(TOO_LONG);
    awaitTrue(() -> mesh.broker.suspended.contains("n1"));
    var _ = mesh.connect();
    mesh.broker.hook = _ -> {};
    // The next try is due so long after the last one was seen to fail, which may still be under
    // way.
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(Mesh.PATIENCE_S);
    while (!events(id).contains(SandboxEventType.SANDBOX_EVENT_TYPE_NODE_BACK)) {
      assertThat(System.nanoTime()).as("never told").isLessThan(end);
      mesh.clock.advance(java.time.Duration.ofSeconds(5));
      LockSupport.parkNanos(500_000_000);
    }
    assertThat(mesh.broker.suspended).isEmpty();
  }

  /** Whether the scheduler has noticed that nobody is connected. */
  private boolean absent() {
    try {
      var _ = acme.deleteSandbox(delete(create().getId()));
      return false;
    } catch (io.grpc.StatusRuntimeException e) {
      return true;
    }
  }
}
