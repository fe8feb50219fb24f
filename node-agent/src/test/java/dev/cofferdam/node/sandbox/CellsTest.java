package dev.cofferdam.node.sandbox;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.sandbox.SandboxState.Ended;
import dev.cofferdam.node.sandbox.SandboxState.Starting;
import org.junit.jupiter.api.Test;

class CellsTest {
  private static final Ended ENDED = new Ended(1, false);

  private final Cells cells = new Cells();

  @Test
  void touchingOneFenceAgainAndAgainPushesNoOtherOut() {
    cells.run("sb-a", cell -> cell.state = ENDED);
    cells.run("sb-b", cell -> cell.state = ENDED);
    for (int i = 0; i <= Cells.FENCES; i++) {
      cells.run("sb-b", cell -> {});
    }

    assertThat(cells.peek("sb-a")).isEqualTo(ENDED);
    assertThat(cells.peek("sb-b")).isEqualTo(ENDED);
  }

  @Test
  void theFenceTouchedLongestAgoIsForgottenFirst() {
    cells.run("sb-a", cell -> cell.state = ENDED);
    cells.run("sb-b", cell -> cell.state = ENDED);
    cells.run("sb-a", cell -> {});
    for (int i = 0; i < Cells.FENCES - 1; i++) {
      cells.run("sb-" + i, cell -> cell.state = ENDED);
    }

    assertThat(cells.peek("sb-a")).isEqualTo(ENDED);
    assertThat(cells.peek("sb-b")).isNull();
  }

  @Test
  void whatLivesAgainTakesNoFencesPlace() {
    cells.run("sb-a", cell -> cell.state = ENDED);
    cells.run("sb-b", cell -> cell.state = ENDED);
    cells.run("sb-b", cell -> cell.state = new Starting(2));
    for (int i = 0; i < Cells.FENCES - 1; i++) {
      cells.run("sb-" + i, cell -> cell.state = ENDED);
    }

    assertThat(cells.peek("sb-a")).isEqualTo(ENDED);
    assertThat(cells.peek("sb-b")).isEqualTo(new Starting(2));
  }
}
