package dev.cofferdam.gateway.slot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.slot.CapUse.Spent;
import dev.cofferdam.kit.egress.Caps;
import java.time.Duration;
import org.junit.jupiter.api.Test;

final class CapUseTest {
  private static final Caps RATE = new Caps(0, 3, Duration.ofSeconds(60), 0, 0);
  private final CapUse use = new CapUse();

  private static long seconds(long seconds) {
    return Duration.ofSeconds(seconds).toNanos();
  }

  @Test
  void aBucketFillsAgainEvenlyAndNotOver() {
    for (int i = 0; i < 3; i++) {
      assertThat(use.begin(RATE, seconds(0))).isEqualTo(Spent.NOTHING);
    }
    assertThat(use.begin(RATE, seconds(19))).isEqualTo(Spent.RATE);
    assertThat(use.begin(RATE, seconds(20))).isEqualTo(Spent.NOTHING);
    assertThat(use.begin(RATE, seconds(20))).isEqualTo(Spent.RATE);
    for (int i = 0; i < 3; i++) {
      assertThat(use.begin(RATE, seconds(100_000))).isEqualTo(Spent.NOTHING);
    }
    assertThat(use.begin(RATE, seconds(100_000))).isEqualTo(Spent.RATE);
  }

  @Test
  void whatIsUndoneWasNotTaken() {
    Caps one = new Caps(1, 1, Duration.ofHours(1), 0, 1);
    for (int i = 0; i < 5; i++) {
      assertThat(use.begin(one, 0)).isEqualTo(Spent.NOTHING);
      use.undo(one);
    }
    assertThat(use.begin(one, 0)).isEqualTo(Spent.NOTHING);
    assertThat(use.begin(one, 0)).isEqualTo(Spent.REQUESTS);
  }

  @Test
  void bytesAreNeverMoreThanTheCap() {
    Caps ten = new Caps(0, 0, Duration.ZERO, 10, 0);
    assertThat(use.add(ten, 10)).isTrue();
    assertThat(use.add(ten, 1)).isFalse();
    assertThat(use.begin(ten, 0)).isEqualTo(Spent.BYTES);
    assertThat(new CapUse().add(ten, Long.MAX_VALUE)).isFalse();
  }

  @Test
  void aPlaceIsFreeAgainOnceItsRequestIsOver() {
    Caps two = new Caps(0, 0, Duration.ZERO, 0, 2);
    assertThat(use.begin(two, 0)).isEqualTo(Spent.NOTHING);
    assertThat(use.begin(two, 0)).isEqualTo(Spent.NOTHING);
    assertThat(use.begin(two, 0)).isEqualTo(Spent.CONCURRENT);
    use.end();
    assertThat(use.begin(two, 0)).isEqualTo(Spent.NOTHING);
  }
}
