package dev.cofferdam.node.pressure;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class PressureLimitsTest {
  private static final PressureLimits LIMITS = new PressureLimits(512, 40, 1024, 200, 256);

  @Test
  void whatIsJustEnoughIsEnough() {
    assertThat(LIMITS.decide(view(512, 40, 1024, 200, 256))).isEmpty();
  }

  @Test
  void eachShortageIsToldWithWhatIsThereAndWhatWasExpected() {
    assertThat(LIMITS.decide(view(511, 0, 1024, 200, 256)))
        .contains("511 MiB of memory are left, expected at least 512");
    assertThat(LIMITS.decide(view(512, 40.6, 1024, 200, 256)))
        .contains("tasks waited for memory in 41 % of the last 10 s, expected at most 40 %");
    assertThat(LIMITS.decide(view(512, 0, 1023, 200, 256)))
        .contains("1023 MiB of disk are left, expected at least 1024");
    assertThat(LIMITS.decide(view(512, 0, 1024, -5, 256)))
        .contains("0 process ids are left, expected at least 200");
    assertThat(LIMITS.decide(view(512, 0, 1024, 200, 255)))
        .contains("255 file descriptors are left, expected at least 256");
  }

  @Test
  void allShortagesAreToldTogether() {
    assertThat(LIMITS.decide(view(0, 100, 0, 0, 0)).orElseThrow().split("; ")).hasSize(5);
  }

  @Test
  void aKernelThatTellsNoStallsIsNotUnderPressure() {
    assertThat(LIMITS.decide(new HostView(512, OptionalDouble.empty(), 1024, 200, 256))).isEmpty();
  }

  private static HostView view(long memory, double stall, long disk, long pids, long descriptors) {
    return new HostView(memory, OptionalDouble.of(stall), disk, pids, descriptors);
  }
}
