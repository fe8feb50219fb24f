package dev.cofferdam.edge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.config.ConfigException;
import dev.cofferdam.kit.config.Settings;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class EdgeConfigTest {
  private static EdgeConfig read(Map<String, String> values) {
    return EdgeConfig.read(Settings.of("edge-gateway", "test", values, Map.of()));
  }

  @Test
  void defaults() {
    EdgeConfig config = read(Map.of("tls.authority", "/ca.pem"));
    assertThat(config.listen().getPort()).isEqualTo(7480);
    assertThat(config.adminListen().getPort()).isEqualTo(7481);
    assertThat(config.api().toString()).contains("127.0.0.1").contains("7400");
    assertThat(config.broker().toString()).contains("127.0.0.2").contains("7411");
    assertThat(config.authority()).isEqualTo(Path.of("/ca.pem"));
    assertThat(config.region()).isEqualTo("ord");
    assertThat(config.unnamedMemoryMib()).isEqualTo(1280);
    assertThat(config.lease()).isEqualTo(Duration.ofMinutes(5));
    assertThat(config.limits().configBytes()).isEqualTo(1 << 20);
    assertThat(config.limits().headTimeout()).isEqualTo(Duration.ofSeconds(15));
    assertThat(config.limits().sessions()).isEqualTo(2048);
    assertThat(config.limits().pageSize()).isEqualTo(100);
    assertThat(config.limits().memoryBytes()).isEqualTo(96 << 20);
    assertThat(config.limits().session().messageBytes()).isEqualTo(16 << 20);
    assertThat(config.limits().session().calls()).isEqualTo(4096);
    assertThat(config.limits().session().streams()).isEqualTo(1024);
    assertThat(config.limits().session().inputBytes()).isEqualTo(16 << 20);
    assertThat(config.limits().session().outputBytes()).isEqualTo(1 << 20);
    assertThat(config.limits().session().stall()).isEqualTo(Duration.ofSeconds(15));
    assertThat(config.ports().listen().getPort()).isEqualTo(7482);
    assertThat(config.ports().tls()).isEmpty();
    assertThat(config.ports().domain()).isEqualTo("localhost");
    assertThat(config.ports().publicPort()).isZero();
    assertThat(config.ports().headBytes()).isEqualTo(32 << 10);
    assertThat(config.ports().connections()).isEqualTo(4096);
    assertThat(config.ports().perSandbox()).isEqualTo(256);
    assertThat(config.ports().perToken()).isEqualTo(1024);
    assertThat(config.ports().headTime()).isEqualTo(Duration.ofSeconds(15));
    assertThat(config.ports().keepAlive()).isEqualTo(Duration.ofSeconds(60));
    assertThat(config.ports().connect()).isEqualTo(Duration.ofMinutes(2));
    assertThat(config.ports().stall()).isEqualTo(Duration.ofSeconds(60));
    assertThat(config.ports().idle()).isEqualTo(Duration.ofHours(1));
  }

  @Test
  void everyProblemIsTold() {
    assertThatThrownBy(() ->
            read(
                Map.of(
                    "region",
                    "x1",
                    "session.lease",
                    "1s",
                    "no",
                    "1",
                    "ports.domain",
                    "A",
                    "ports.tls.key",
                    "/k")))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("tls.authority")
        .hasMessageContaining("region")
        .hasMessageContaining("ports.domain")
        .hasMessageContaining("ports.tls.key")
        .hasMessageContaining("session.lease")
        .hasMessageContaining("no is not a known key");
  }
}
