package dev.cofferdam.node.pool;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.fake.FakeLoad;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class PaceTest {
  private static final long BEGIN = Duration.ofHours(1).toNanos();

  private final FakeLoad load = new FakeLoad();
  private final Pace pace = new Pace(load, BEGIN);

  @Test
  void aHostThatDoesNothingElseWaitsForNothing() {
    assertThat(pace.pause(BEGIN)).isZero();
    pace.made(BEGIN + 1);
    assertThat(pace.pause(BEGIN + 1)).isZero();
  }

  @Test
  void nothingIsMadeWhileAStartIsUnderWay() {
    pace.startBegins();
    pace.startBegins();
    pace.startEnds(BEGIN);
    assertThat(pace.pause(BEGIN + Duration.ofHours(1).toNanos())).isNegative();
    pace.startEnds(BEGIN);
    assertThat(pace.pause(BEGIN + Pace.QUIET.toNanos())).isZero();
  }

  @Test
  void aNewSandboxHasAMomentForItsFirstCommands() {
    pace.startBegins();
    pace.startEnds(BEGIN);
    assertThat(pace.pause(BEGIN)).isEqualTo(Pace.QUIET);
    assertThat(pace.pause(BEGIN + 1000)).isEqualTo(Pace.QUIET.minusNanos(1000));
  }

  @Test
  void startsOneAfterAnotherDoNotKeepThePoolEmptyForEver() {
    long now = BEGIN;
    long step = Pace.QUIET.toNanos() / 2;
    while (now < BEGIN + Pace.LONGEST.toNanos() + step) {
      pace.startBegins();
      pace.startEnds(now);
      now += step;
    }
    assertThat(pace.pause(now)).isZero();
    pace.made(now);
    pace.startBegins();
    pace.startEnds(now);
    assertThat(pace.pause(now)).as("and then they have the host again").isPositive();
  }

  @Test
  void onABusyHostOneIsMadeRarely() {
    load.idle = Pace.FREE - 0.01;
    assertThat(pace.pause(BEGIN)).isZero();
    pace.made(BEGIN);
    assertThat(pace.pause(BEGIN + 1)).isEqualTo(Pace.LOOK_AGAIN);
    assertThat(pace.pause(BEGIN + Pace.RARELY.toNanos() - 1)).isEqualTo(Pace.LOOK_AGAIN);
    assertThat(pace.pause(BEGIN + Pace.RARELY.toNanos())).isZero();
  }
}
