package dev.cofferdam.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.config.ConfigException;
import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Pins every key and default. */
class SchedulerConfigTest {
  private static final Map<String, String> REQUIRED =
      Map.of(
          "tls.certificate", "/c",
          "tls.key", "/k",
          "tls.authority", "/a",
          "database.url", "jdbc:postgresql://127.0.0.1:7450/scheduler",
          "database.password-file", "/p");

  private static SchedulerConfig read(Map<String, String> values) {
    return SchedulerConfig.read(Settings.of("scheduler-svc", "test", values, Map.of()));
  }

  private static InetSocketAddress address(String host, int port) {
    return InetSocketAddress.createUnresolved(host, port);
  }

  @Test
  void defaults() {
    assertThat(read(REQUIRED))
        .isEqualTo(
            new SchedulerConfig(
                address("127.0.0.1", 7400),
                address("127.0.0.1", 7401),
                new TlsFiles(Path.of("/c"), Path.of("/k"), Path.of("/a"), "cofferdam.local"),
                "jdbc:postgresql://127.0.0.1:7450/scheduler",
                "cofferdam_scheduler",
                Path.of("/p"),
                8,
                address("127.0.0.1", 7410),
                50,
                50,
                20,
                50,
                "debian",
                new SandboxSize(1, 512, 2048),
                Duration.ofSeconds(2),
                Duration.ofSeconds(10),
                Duration.ofMinutes(5),
                Duration.ofSeconds(60),
                Duration.ofDays(30)));
  }

  @Test
  void everyKey() {
    Map<String, String> values = new TreeMap<>(REQUIRED);
    values.putAll(
        Map.of(
            "listen", "0.0.0.0:1",
            "admin.listen", "127.0.0.1:2",
            "tls.trust-domain", "example.org",
            "database.user", "u",
            "database.pool-size", "3",
            "broker.address", "broker:4",
            "quota.sandboxes", "5",
            "quota.snapshots", "6",
            "quota.templates", "7",
            "quota.volumes", "8"));
    values.putAll(
        Map.of(
            "template.default", "alpine",
            "template.default-vcpus", "2",
            "template.default-memory-mib", "256",
            "template.default-disk-mib", "64",
            "heartbeat.interval", "100ms",
            "node.timeout", "500ms",
            "node.lost-after", "2m",
            "create.timeout", "5s",
            "record.retention", "2d"));
    assertThat(read(values))
        .isEqualTo(
            new SchedulerConfig(
                address("0.0.0.0", 1),
                address("127.0.0.1", 2),
                new TlsFiles(Path.of("/c"), Path.of("/k"), Path.of("/a"), "example.org"),
                "jdbc:postgresql://127.0.0.1:7450/scheduler",
                "u",
                Path.of("/p"),
                3,
                address("broker", 4),
                5,
                6,
                7,
                8,
                "alpine",
                new SandboxSize(2, 256, 64),
                Duration.ofMillis(100),
                Duration.ofMillis(500),
                Duration.ofMinutes(2),
                Duration.ofSeconds(5),
                Duration.ofDays(2)));
  }

  @Test
  void everyProblemIsReportedTogether() {
    assertThatThrownBy(() ->
            read(
                Map.of(
                    "database.url", "mysql://x",
                    "quota.sandboxes", "0",
                    "quota.snapshots", "0",
                    "quota.volumes", "0",
                    "heartbeat.interval", "30s",
                    "node.lost-after", "9s",
                    "nonsense", "1")))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("tls.certificate")
        .hasMessageContaining("database.url is 'mysql://x'")
        .hasMessageContaining("database.password-file")
        .hasMessageContaining("quota.sandboxes is '0'")
        .hasMessageContaining("quota.snapshots is '0'")
        .hasMessageContaining("quota.volumes is '0'")
        .hasMessageContaining("node.timeout is less than twice heartbeat.interval")
        .hasMessageContaining("node.lost-after is less than node.timeout")
        .hasMessageContaining("nonsense");
  }
}
