package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.HostPattern;
import dev.cofferdam.kit.config.ConfigException;
import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.upstream.Cidr;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class GatewayConfigTest {
  @TempDir Path directory;

  private static final String REQUIRED =
      """
      tls.certificate = /c
      tls.key = /k
      tls.authority = /a
      state.dir = /s
      """;

  private GatewayConfig read(String text) throws Exception {
    Path file = Files.writeString(directory.resolve("service.properties"), text);
    return GatewayConfig.read(Settings.load("egress-gateway", file, Map.of()));
  }

  @Test
  void defaults() throws Exception {
    GatewayConfig config = read(REQUIRED);

    assertThat(config.controlListen())
        .isEqualTo(InetSocketAddress.createUnresolved("127.0.0.1", 7430));
    assertThat(config.adminListen())
        .isEqualTo(InetSocketAddress.createUnresolved("127.0.0.1", 7431));
    assertThat(config.brokerAddress())
        .isEqualTo(InetSocketAddress.createUnresolved("127.0.0.1", 7410));
    assertThat(config.stateDirectory()).isEqualTo(Path.of("/s"));
    assertThat(config.upstreamAuthorities()).isEmpty();
    assertThat(config.hostsFile()).isEmpty();
    assertThat(config.privateRanges()).isEmpty();
    assertThat(config.resolvers()).isEmpty();
    assertThat(config.headerBytes()).isEqualTo(65536);
    assertThat(config.bodyScanBytes()).isEqualTo(65536);
    assertThat(config.connectionsPerSandbox()).isEqualTo(512);
    assertThat(config.materialisationsPerSandbox()).isEqualTo(128);
    assertThat(config.headerTimeout()).isEqualTo(Duration.ofSeconds(15));
    assertThat(config.idleTimeout()).isEqualTo(Duration.ofMinutes(2));
    assertThat(config.connectTimeout()).isEqualTo(Duration.ofSeconds(10));
    assertThat(config.answerTimeout()).isEqualTo(Duration.ofMinutes(10));
    assertThat(config.spoolEvents()).isEqualTo(50_000);
    assertThat(config.firstMeshPort()).isEqualTo(7400);
    assertThat(config.lastMeshPort()).isEqualTo(7480);
    assertThat(config.upstreamProxy()).isEmpty();
    assertThat(config.explicitProxy()).isEmpty();
  }

  @Test
  void everyKey() throws Exception {
    GatewayConfig config =
        read(
            REQUIRED
                + """
                control.listen = 0.0.0.0:1
                admin.listen = 127.0.0.1:2
                tls.trust-domain = other.local
                broker.address = broker:3
                upstream.ca-file = /ca
                hosts.file = /hosts
                egress.private-ranges = 10.1.0.0/16, fd00::/8
                resolvers = 192.0.2.1:5353, 192.0.2.2
                limits.header-bytes = 2048
                limits.body-scan-bytes = 0
                limits.connections-per-sandbox = 3
                limits.materialisations-per-sandbox = 4
                limits.header-timeout = 1s
                limits.idle-timeout = 2s
                limits.connect-timeout = 3s
                limits.answer-timeout = 4s
                limits.spool-events = 100
                mesh.ports = 5-6
                upstream.proxy = https://proxy.example.com:3129
                upstream.proxy-credentials-file = /credentials
                upstream.proxy-target = name
                upstream.no-proxy = *.example.org, git.example.com, 10.0.0.0/8
                proxy.listen = 192.0.2.7:7490
                proxy.address = proxy.example.com:443
                proxy.tls-certificate = /pc
                proxy.tls-key = /pk
                """);

    assertThat(config.controlListen().getPort()).isEqualTo(1);
    assertThat(config.adminListen().getPort()).isEqualTo(2);
    assertThat(config.tls().trustDomain()).isEqualTo("other.local");
    assertThat(config.brokerAddress().getHostString()).isEqualTo("broker");
    assertThat(config.upstreamAuthorities()).isEqualTo(Optional.of(Path.of("/ca")));
    assertThat(config.hostsFile()).isEqualTo(Optional.of(Path.of("/hosts")));
    assertThat(config.privateRanges())
        .containsExactly(Cidr.parse("10.1.0.0/16"), Cidr.parse("fd00::/8"));
    assertThat(config.resolvers()).isEqualTo(List.of("192.0.2.1:5353", "192.0.2.2"));
    assertThat(GatewayApp.limits(config))
        .isEqualTo(
            new dev.cofferdam.gateway.proxy.Limits(
                2048,
                0,
                3,
                4,
                Duration.ofSeconds(1),
                Duration.ofSeconds(2),
                Duration.ofSeconds(3),
                Duration.ofSeconds(4)));
    assertThat(config.spoolEvents()).isEqualTo(100);
    assertThat(config.firstMeshPort()).isEqualTo(5);
    assertThat(config.lastMeshPort()).isEqualTo(6);
    assertThat(config.upstreamProxy())
        .contains(
            new UpstreamProxySettings(
                true,
                Host.parse("proxy.example.com").orElseThrow(),
                3129,
                Optional.of(Path.of("/credentials")),
                true,
                List.of(HostPattern.parse("*.example.org"), HostPattern.parse("git.example.com")),
                List.of(Cidr.parse("10.0.0.0/8"))));
    assertThat(config.explicitProxy())
        .contains(
            new ExplicitProxySettings(
                InetSocketAddress.createUnresolved("192.0.2.7", 7490),
                "proxy.example.com:443",
                Optional.of(new ExplicitProxySettings.Identity(Path.of("/pc"), Path.of("/pk")))));
  }

  @Test
  void anExplicitProxyIsOnLoopbackUnlessItSpeaksTls() throws Exception {
    ExplicitProxySettings settings =
        read(REQUIRED + "proxy.listen = 127.0.0.1:7490\n").explicitProxy().orElseThrow();
    assertThat(settings.address()).isEqualTo("127.0.0.1:7490");
    assertThat(settings.tls()).isEmpty();
    for (String bad :
        List.of(
            "proxy.listen = 0.0.0.0:7490",
            "proxy.listen = 192.0.2.7:7490",
            "proxy.listen = localhost:7490",
            "proxy.listen = 127.0.0.1:0",
            "proxy.listen = 127.0.0.1",
            "proxy.listen = 192.0.2.7:7490\nproxy.tls-certificate = /pc",
            "proxy.address = proxy.example.com:443",
            "proxy.tls-certificate = /pc\nproxy.tls-key = /pk")) {
      assertThatThrownBy(() -> read(REQUIRED + bad))
          .as(bad)
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("proxy.");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "upstream.proxy = proxy.example.com:3128",
        "upstream.proxy = socks5://proxy.example.com:1080",
        "upstream.proxy = http://user:secret@proxy.example.com:3128",
        "upstream.proxy = http://proxy.example.com",
        "upstream.proxy = http://proxy.example.com:0",
        "upstream.proxy = http://proxy.example.com:3128/path",
        "upstream.no-proxy = example.com",
        "upstream.proxy-target = name",
        "upstream.proxy-credentials-file = /c",
      })
  void aProxyThatMakesNoSense(String line) {
    assertThatThrownBy(() -> read(REQUIRED + line))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("upstream.proxy")
        .hasMessageNotContaining("secret");
  }

  @Test
  void theProxysCredentialsAreOneLine() throws Exception {
    Path file = directory.resolve("credentials");
    UpstreamProxySettings settings =
        new UpstreamProxySettings(
            false,
            Host.parse("192.0.2.1").orElseThrow(),
            3128,
            Optional.of(file),
            false,
            List.of(),
            List.of());
    Files.writeString(file, "user:pass word\n");
    assertThat(settings.open().authorization()).contains("Basic dXNlcjpwYXNzIHdvcmQ=");
    assertThat(settings.open().toString()).isEqualTo("http://192.0.2.1:3128");
    for (String bad : List.of("user\n", "", ":x", "user:a\nb\n", "user:a\r\nX: y")) {
      Files.writeString(file, bad);
      assertThatThrownBy(settings::open)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("user:password");
    }
  }

  @Test
  void allProblemsAreReportedTogether() {
    String text =
        """
        mesh.ports = 9-1
        egress.private-ranges = 10.0.0.1/8
        limits.header-bytes = 1
        limits.nonsense = 1
        upstream.proxy = nonsense
        upstream.no-proxy = 10.0.0.1/8
        """;
    assertThatThrownBy(() -> read(text))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("mesh.ports")
        .hasMessageContaining("egress.private-ranges")
        .hasMessageContaining("limits.header-bytes")
        .hasMessageContaining("limits.nonsense")
        .hasMessageContaining("upstream.proxy ")
        .hasMessageContaining("upstream.no-proxy")
        .hasMessageContaining("state.dir")
        .hasMessageContaining("tls.key");
  }

  @Test
  void inheritedSocketsAreNamedOrRefused() {
    assertThat(InheritedSockets.parse("tcp:3,dns-udp:4,dns-tcp:5"))
        .isEqualTo(new InheritedSockets(3, 4, 5));
    assertThatThrownBy(() -> InheritedSockets.parse("tcp:3,dns-udp:4"))
        .hasMessageContaining("dns-tcp");
    assertThatThrownBy(() -> InheritedSockets.parse("tcp=3")).hasMessageContaining("tcp=3");
  }
}
