package dev.cofferdam.kit.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServiceMainTest {
  private final ByteArrayOutputStream errors = new ByteArrayOutputStream();

  @Test
  void aWrongCommandLineIsSaid() {
    assertThat(run("--conf", "x")).isEqualTo(64);
    assertThat(errors.toString(StandardCharsets.UTF_8)).isEqualTo("usage: svc --config FILE\n");
  }

  @Test
  void everyProblemOfTheConfigurationIsSaid(@TempDir Path dir) throws Exception {
    Path file = Files.writeString(dir.resolve("svc.properties"), "unheard.of = 1\nport = x\n");
    assertThat(run("--config", file.toString())).isEqualTo(78);
    assertThat(errors.toString(StandardCharsets.UTF_8))
        .contains("port is 'x'")
        .contains("unheard.of is not a known key");
  }

  private int run(String... args) {
    return ServiceMain.tryRun(
        "svc",
        args,
        settings -> {
          settings.port("port", 1);
          settings.finish();
          return () -> {};
        },
        Map.of(),
        new PrintStream(errors, true, StandardCharsets.UTF_8));
  }
}
