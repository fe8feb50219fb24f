package dev.cofferdam.kit.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SettingsTest {
  @Test
  void readsEveryKindOfValue() {
    Settings settings =
        of(
            Map.of(
                "name", "a",
                "count", "7",
                "wait", "250ms",
                "on", "true",
                "dir", "/var/lib/x",
                "names", "a, b ,c",
                "listen", "127.0.0.1:7410",
                "node.n1.prefix", "100.80.0.0/16"));
    assertThat(settings.text("name", "z")).isEqualTo("a");
    assertThat(settings.integer("count", 1, 0, 10)).isEqualTo(7);
    assertThat(settings.duration("wait", Duration.ZERO, Duration.ZERO, Duration.ofSeconds(1)))
        .isEqualTo(Duration.ofMillis(250));
    assertThat(settings.flag("on", false)).isTrue();
    assertThat(settings.requiredPath("dir")).isEqualTo(Path.of("/var/lib/x"));
    assertThat(settings.list("names", List.of())).containsExactly("a", "b", "c");
    assertThat(settings.address("listen", "x:1").getPort()).isEqualTo(7410);
    assertThat(settings.withPrefix("node."))
        .containsExactly(Map.entry("n1.prefix", "100.80.0.0/16"));
    settings.finish();
  }

  @Test
  void theEnvironmentWins() {
    Settings settings =
        Settings.of(
            "vault-broker",
            "test",
            Map.of("database.pool-size", "1"),
            Map.of("COFFERDAM_VAULT_BROKER_DATABASE_POOL_SIZE", "2"));
    assertThat(settings.integer("database.pool-size", 8, 1, 64)).isEqualTo(2);
  }

  @Test
  void reportsEveryProblemTogether() {
    Settings settings =
        of(
            Map.of(
                "count", "eleven",
                "wait", "5 minutes",
                "on", "yes",
                "dir", "relative",
                "listen", "nowhere",
                "typo", "1"));
    settings.integer("count", 1, 0, 10);
    settings.duration("wait", Duration.ZERO, Duration.ZERO, Duration.ofSeconds(1));
    settings.flag("on", false);
    settings.requiredPath("dir");
    settings.address("listen", "x:1");
    settings.requiredText("needed");
    assertThatThrownBy(settings::finish)
        .isInstanceOfSatisfying(
            ConfigException.class,
            e ->
                assertThat(e.problems())
                    .containsExactly(
                        "count is 'eleven', expected a whole number from 0 to 10",
                        "wait is '5 minutes', expected a duration from 0s to 1s",
                        "on is 'yes', expected true or false",
                        "dir is 'relative', expected an absolute path",
                        "listen is 'nowhere', expected host:port",
                        "needed is required",
                        "typo is not a known key"));
  }

  @Test
  void aNumberOutOfRangeIsAProblem() {
    Settings settings = of(Map.of("count", "11"));
    settings.integer("count", 1, 0, 10);
    assertThatThrownBy(settings::finish).hasMessageContaining("from 0 to 10");
  }

  @Test
  void readsAFileAndNamesOneThatCannotBeRead(@TempDir Path dir) throws Exception {
    Path file = Files.writeString(dir.resolve("x.properties"), "a.b = c \n# comment\n");
    Settings settings = Settings.load("x", file, Map.of());
    assertThat(settings.text("a.b", "")).isEqualTo("c");
    settings.finish();
    Settings missing = Settings.load("x", dir.resolve("absent"), Map.of());
    assertThatThrownBy(missing::finish)
        .hasMessageContaining("absent")
        .hasMessageContaining("cannot read");
  }

  private static Settings of(Map<String, String> values) {
    return Settings.of("test", "test", values, Map.of());
  }
}
