package dev.cofferdam.gateway.slot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.policy.Policy;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class SlotTest {
  private final Slot slot =
      new Slot(
          new Attachment(
              "sb-1",
              "default",
              "ln-1",
              1,
              1,
              "node-1",
              InetAddress.getLoopbackAddress(),
              new Policy(List.of()),
              1,
              List.of(),
              new Judge(List.of()),
              Optional.empty()),
          new SyntheticNames(() -> 0));

  /**
   * Of uses that begin at once after a 401 one asks for another token, or each would be fetched.
   */
  @Test
  void a401IsToldToTheFirstUseAfterItAlone() {
    slot.answered("gr-1", true);
    slot.answered("gr-1", true);
    assertThat(slot.takeUnauthorised("gr-2")).isFalse();
    assertThat(slot.takeUnauthorised("gr-1")).isTrue();
    assertThat(slot.takeUnauthorised("gr-1")).isFalse();
  }

  /** The answer of a use that began before: the value is good after all. */
  @Test
  void anAnswerThatIsNone401TakesItBack() {
    slot.answered("gr-1", true);
    slot.answered("gr-2", false);
    slot.answered("gr-1", false);
    assertThat(slot.takeUnauthorised("gr-1")).isFalse();
  }

  @Test
  void whatIsGrantedNoMoreIsForgotten() {
    slot.answered("gr-1", true);
    slot.update(slot.attachment());
    assertThat(slot.takeUnauthorised("gr-1")).isFalse();
  }
}
