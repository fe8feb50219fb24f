package dev.cofferdam.node.qemu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class QemuVersionTest {
  @TempDir Path directory;

  @Test
  void theFirstLineIsTheVersion() throws IOException {
    assertThat(QemuVersion.of(program("echo QEMU emulator version 7.2; echo Copyright")))
        .isEqualTo("QEMU emulator version 7.2");
  }

  @Test
  void aProgramThatFailsOrSaysNothingIsRefused() throws IOException {
    assertThatThrownBy(() -> QemuVersion.of(program("exit 0"))).isInstanceOf(IOException.class);
    assertThatThrownBy(() -> QemuVersion.of(program("echo away; exit 1")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("ended with 1: away");
  }

  /** It waits for an input that never comes. */
  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aProgramThatDoesNotEndIsNotWaitedForLonger() throws IOException {
    Path program = program("exec cat");
    assertThatThrownBy(() -> QemuVersion.of(program, Duration.ofMillis(50)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("did not end within");
  }

  private Path program(String line) throws IOException {
    Path program = directory.resolve("qemu");
    Files.writeString(program, "#!/bin/sh\n" + line + "\n");
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
    return program;
  }
}
