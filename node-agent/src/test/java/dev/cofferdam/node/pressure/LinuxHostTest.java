package dev.cofferdam.node.pressure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalDouble;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Over files with what real kernels say, and over this machine. */
class LinuxHostTest {
  @TempDir Path directory;
  private Path proc;

  @BeforeEach
  void files() throws IOException {
    proc = Files.createDirectories(directory.resolve("proc"));
    write(
        "meminfo",
        """
        MemTotal:       24683656 kB
        MemFree:        17436100 kB
        MemAvailable:   23540116 kB
        """);
    write(
        "pressure/memory",
        """
        some avg10=12.34 avg60=1.00 avg300=0.00 total=3506
        full avg10=9.99 avg60=0.00 avg300=0.00 total=2827
        """);
    write("loadavg", "3.25 2.72 1.88 7/156 32347\n");
    write("sys/kernel/pid_max", "32768\n");
    write("sys/kernel/threads-max", "192729\n");
    write("sys/fs/file-nr", "741\t0\t2466174\n");
  }

  @Test
  void whatTheKernelSays() throws IOException {
    HostView view = host(900).read();
    assertThat(view)
        .isEqualTo(
            new HostView(22_988, OptionalDouble.of(12.34), view.diskMib(), 32_768 - 156, 900));
  }

  @Test
  void theHostsDescriptorsBoundItsOwn() throws IOException {
    write("sys/fs/file-nr", "2466100\t0\t2466174\n");
    assertThat(host(900).read().descriptors()).isEqualTo(74);
  }

  @Test
  void threadsMayBeFewerThanPids() throws IOException {
    write("sys/kernel/threads-max", "200\n");
    assertThat(host(900).read().pids()).isEqualTo(44);
  }

  @Test
  void aKernelWithoutStallTimes() throws IOException {
    Files.delete(proc.resolve("pressure/memory"));
    assertThat(host(900).read().memoryStall()).isEmpty();
  }

  @Test
  void whatIsNoNumberIsToldAndIsPressure() throws IOException {
    write("loadavg", "3.25 2.72 1.88 7/many 32347\n");
    assertThatThrownBy(host(900)::read).hasMessage("loadavg says 'many', expected a number");
    HostPressure pressure = new HostPressure(host(900), new PressureLimits(0, 100, 0, 0, 0));
    assertThat(pressure.now())
        .contains("the host cannot be looked at: loadavg says 'many', expected a number");
    assertThatThrownBy(pressure::admit)
        .isInstanceOfSatisfying(
            Refusal.class,
            refusal ->
                assertThat(refusal.reason()).isEqualTo(ErrorReason.ERROR_REASON_NO_CAPACITY));
  }

  @Test
  void thisMachine() throws IOException {
    HostView view = new LinuxHost(directory).read();
    assertThat(view.memoryMib()).isPositive();
    assertThat(view.diskMib()).isPositive();
    assertThat(view.pids()).isPositive();
    assertThat(view.descriptors()).isPositive();
  }

  @Test
  void aDiskThatFills() throws Exception {
    assumeTrue(ProcessHandle.current().info().user().orElse("").equals("root"), "mounts a tmpfs");
    Path small = Files.createDirectories(directory.resolve("small"));
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small.toString());
    try {
      HostPressure pressure =
          new HostPressure(new LinuxHost(small), new PressureLimits(0, 100, 4, 0, 0));
      pressure.admit();
      Files.write(small.resolve("fill"), new byte[6 << 20]);
      assertThatThrownBy(pressure::admit)
          .hasMessage("this node's host is short: 2 MiB of disk are left, expected at least 4");
      Files.delete(small.resolve("fill"));
      pressure.admit();
    } finally {
      run("umount", small.toString());
    }
  }

  private LinuxHost host(long descriptors) {
    return new LinuxHost(proc, directory, () -> descriptors);
  }

  private void write(String name, String text) throws IOException {
    Path file = proc.resolve(name);
    Files.createDirectories(file.resolveSibling("."));
    Files.writeString(file, text);
  }

  private static void run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).inheritIO().start();
    assertThat(process.waitFor()).isZero();
  }
}
