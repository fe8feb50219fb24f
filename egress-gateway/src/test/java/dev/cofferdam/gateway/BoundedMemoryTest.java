package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Bodies pass through a gateway that could not hold them. */
final class BoundedMemoryTest {
  /** Each way: in the long form more than 31 bits count. */
  private static final long BYTES =
      "1".equals(System.getenv("COFFERDAM_TEST_LONG")) ? 2200L << 20 : 128L << 20;

  private static final String HEAP = "-Xmx64m";
  private static final String OUTSIDE_THE_HEAP = "-XX:MaxDirectMemorySize=32m";

  @AttackRow(34)
  @Test
  void bodiesOfAnyLengthPassBothWaysAndWaitForWhoeverIsSlow(@TempDir Path directory)
      throws Exception {
    List<String> command = Jvm.command(HEAP, OUTSIDE_THE_HEAP, "-XX:+ExitOnOutOfMemoryError");
    command.addAll(
        List.of(BoundedMemoryRun.class.getName(), directory.toString(), String.valueOf(BYTES)));
    Path said = directory.resolve("said");
    Process run =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(said.toFile()).start();
    try {
      assertThat(run.waitFor(60, TimeUnit.MINUTES)).isTrue();
    } finally {
      run.destroyForcibly();
    }
    assertThat(Files.readString(said)).contains("all of it passed");
  }
}
