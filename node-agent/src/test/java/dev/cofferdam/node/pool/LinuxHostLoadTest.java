package dev.cofferdam.node.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LinuxHostLoadTest {
  @TempDir Path proc;
  private final AtomicLong nanos = new AtomicLong();

  @Test
  void idleIsOfTheTimeSinceItWasLastAsked() throws IOException {
    stat("cpu  10 0 10 80 0 0 0 0 0 0");
    LinuxHostLoad load = new LinuxHostLoad(proc, nanos::get);
    stat("cpu  85 0 10 100 5 0 0 0 999 999");
    assertThat(load.idle()).as("too little time has passed to tell").isEqualTo(0.8);
    nanos.set(1_000_000_000);
    assertThat(load.idle()).isEqualTo(0.25);
    stat("cpu  85 0 10 200 5 0 0 0 999 999");
    assertThat(load.idle()).isEqualTo(0.25);
    nanos.set(2_000_000_000);
    assertThat(load.idle()).isEqualTo(1);
  }

  @Test
  void availableIsTheKernelsOwnEstimate() throws IOException {
    stat("cpu  1 1 1 1 1 1 1 1 0 0");
    Files.writeString(proc.resolve("meminfo"), "MemTotal: 9 kB\nMemAvailable:    2049 kB\n");
    LinuxHostLoad load = new LinuxHostLoad(proc, nanos::get);
    assertThat(load.availableMib()).isEqualTo(2);
    Files.writeString(proc.resolve("meminfo"), "MemTotal: 9 kB\n");
    assertThatThrownBy(load::availableMib).hasMessageContaining("MemAvailable");
  }

  @Test
  void theRealKernelIsUnderstood() {
    LinuxHostLoad load = new LinuxHostLoad(System::nanoTime);
    assertThat(load.availableMib()).isPositive();
    assertThat(load.idle()).isBetween(0.0, 1.0);
  }

  private void stat(String line) throws IOException {
    Files.writeString(proc.resolve("stat"), line + "\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
  }
}
