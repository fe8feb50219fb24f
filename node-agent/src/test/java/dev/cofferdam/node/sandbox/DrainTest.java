package dev.cofferdam.node.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.fake.FakeHost;
import dev.cofferdam.v1.ErrorReason;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DrainTest {
  private static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";

  @TempDir Path directory;
  private final List<Boolean> told = new ArrayList<>();

  @Test
  void itOutlivesTheProcessAndEachChangeIsToldOnce() {
    Drain first = open();
    first.set(false);
    first.set(true);
    first.set(true);
    assertThat(told).containsExactly(true);

    Drain next = open();
    assertThat(told).as("before any scheduler's word").containsExactly(true, true);
    assertThatThrownBy(next::requireNone).isInstanceOf(Refusal.class);
    next.set(false);
    assertThatCode(next::requireNone).doesNotThrowAnyException();
    assertThatCode(open()::requireNone).doesNotThrowAnyException();
  }

  /** As from a scheduler that has not heard of it. */
  @Test
  void aDrainedNodeStartsNothingNewAndWhatIsThereIsAnsweredForSleepsAndWakes() throws Exception {
    try (FakeHost.Node node = new FakeHost(directory).node()) {
      Drain drain = open();
      node.sandboxes.checkBy(_ -> {
        drain.requireNone();
        return () -> {};
      });
      assertThat(node.sandboxes.start(order(A, 1)).way()).contains(StartWay.RESTORED);
      drain.set(true);

      assertThatThrownBy(() -> node.sandboxes.start(order(B, 1)))
          .isInstanceOfSatisfying(
              Refusal.class,
              refusal ->
                  assertThat(refusal.reason()).isEqualTo(ErrorReason.ERROR_REASON_NO_CAPACITY))
          .hasMessageContaining("drained");
      assertThat(node.knows(B)).as("nothing was begun").isFalse();
      assertThat(node.sandboxes.freeMemoryMib()).isEqualTo(1536 - 512);

      assertThat(node.sandboxes.start(order(A, 1)).way()).as("the same order again").isEmpty();
      node.sandboxes.states().set(A, 1, SandboxStates.Visible.SUSPENDED);
      node.sandboxes.states().set(A, 1, SandboxStates.Visible.RUNNING);
      assertThat(node.sandboxes.running()).containsExactly(new Sandboxes.Entry(A, 1));

      drain.set(false);
      assertThat(node.sandboxes.start(order(B, 1)).way()).contains(StartWay.RESTORED);
    }
  }

  private Drain open() {
    return Drain.open(directory.resolve("drained"), told::add);
  }

  private static StartOrder order(String sandbox, long epoch) {
    return new StartOrder(sandbox, epoch, "debian", FakeHost.PREPARED, Map.of(), "ticket", "");
  }
}
