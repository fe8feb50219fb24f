package dev.cofferdam.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.BrokerConfig.StoreConfig;
import dev.cofferdam.broker.oauth.OAuthSettings;
import dev.cofferdam.broker.policy.Cidr;
import dev.cofferdam.kit.config.ConfigException;
import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.upstream.HostsFile;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pins every key and default. */
class BrokerConfigTest {
  private static final Map<String, String> REQUIRED =
      Map.of(
          "tls.certificate", "/etc/cofferdam/broker.pem",
          "tls.key", "/etc/cofferdam/broker.key",
          "tls.authority", "/etc/cofferdam/ca.pem",
          "database.url", "jdbc:postgresql://127.0.0.1:7450/broker",
          "database.user", "broker",
          "sealed.keyset-file", "/var/lib/cofferdam/broker/sealed.keyset");

  private static BrokerConfig read(Map<String, String> extra) {
    Map<String, String> all = new HashMap<>(REQUIRED);
    all.putAll(extra);
    return BrokerConfig.read(Settings.of("vault-broker", "test", all, Map.of()));
  }

  private static InetSocketAddress address(String host, int port) {
    return InetSocketAddress.createUnresolved(host, port);
  }

  @Test
  void defaults() {
    BrokerConfig config = read(Map.of());
    assertThat(config.meshListen()).isEqualTo(address("127.0.0.1", 7410));
    assertThat(config.tenantListen()).isEqualTo(address("127.0.0.1", 7411));
    assertThat(config.adminListen()).isEqualTo(address("127.0.0.1", 7412));
    assertThat(config.tls().trustDomain()).isEqualTo("cofferdam.local");
    assertThat(config.database().passwordFile()).isEmpty();
    assertThat(config.database().poolSize()).isEqualTo(10);
    assertThat(config.store()).isEqualTo(new StoreConfig.Sealed());
    assertThat(config.cacheTtl()).isEqualTo(Duration.ofSeconds(30));
    assertThat(config.policyLease()).isEqualTo(Duration.ofMinutes(10));
    assertThat(config.learn()).isTrue();
    assertThat(config.approvalWait()).isEqualTo(Duration.ofMinutes(5));
    assertThat(config.grantRetention()).isEqualTo(Duration.ofDays(30));
    assertThat(config.auditRetention()).isEqualTo(Duration.ofDays(365));
    assertThat(config.oauth())
        .isEqualTo(
            new OAuthSettings(
                Duration.ofHours(1),
                Duration.ofSeconds(3),
                Optional.empty(),
                HostsFile.empty(),
                List.of(),
                7400,
                7480));
    assertThat(config.slotPrefixes()).isEmpty();
  }

  @Test
  void everyKeyOfTokenEndpoints(@TempDir Path directory) throws Exception {
    Path hosts = directory.resolve("hosts");
    Files.writeString(hosts, "10.0.0.7 login.example.org # own\n");
    Map<String, String> keys =
        Map.of(
            "oauth.cache-ttl", "24h",
            "oauth.wait", "1m",
            "oauth.ca-file", "/etc/own-ca.pem",
            "oauth.hosts-file", hosts.toString(),
            "oauth.resolvers", "192.0.2.1:53,192.0.2.2:5353",
            "oauth.mesh-ports", "7500-7580");
    assertThat(read(keys).oauth())
        .isEqualTo(
            new OAuthSettings(
                Duration.ofHours(24),
                Duration.ofMinutes(1),
                Optional.of(Path.of("/etc/own-ca.pem")),
                HostsFile.parse(List.of("10.0.0.7 login.example.org")),
                List.of(
                    new InetSocketAddress("192.0.2.1", 53),
                    new InetSocketAddress("192.0.2.2", 5353)),
                7500,
                7580));
    for (Map.Entry<String, String> wrong :
        Map.of(
                "oauth.cache-ttl", "25h",
                "oauth.wait", "99ms",
                "oauth.hosts-file", directory.resolve("none").toString(),
                "oauth.resolvers", "192.0.2.1:0",
                "oauth.mesh-ports", "7500")
            .entrySet()) {
      assertThatThrownBy(() -> read(Map.of(wrong.getKey(), wrong.getValue())))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining(wrong.getKey());
    }
  }

  @Test
  void everyKey() {
    BrokerConfig config =
        read(
            Map.ofEntries(
                Map.entry("mesh.listen", "10.0.0.1:1"),
                Map.entry("tenant.listen", "10.0.0.1:2"),
                Map.entry("admin.listen", "127.0.0.1:3"),
                Map.entry("tls.trust-domain", "example.org"),
                Map.entry("database.password-file", "/run/password"),
                Map.entry("database.pool-size", "20"),
                Map.entry("store", "vault"),
                Map.entry("vault.address", "https://vault.example.org:8200"),
                Map.entry("vault.token-file", "/run/vault-token"),
                Map.entry("vault.mount", "kv"),
                Map.entry("vault.ca-file", "/etc/vault-ca.pem"),
                Map.entry("value.cache-ttl", "0ms"),
                Map.entry("policy.lease", "1h"),
                Map.entry("policy.learn", "forbidden"),
                Map.entry("approval.wait", "1h"),
                Map.entry("grants.retention", "24h"),
                Map.entry("audit.retention", "24h"),
                Map.entry("node.n1.slot-prefix", "100.80.0.0/16"),
                Map.entry("node.host-2.slot-prefix", "100.81.0.0/16")));
    assertThat(config.meshListen()).isEqualTo(address("10.0.0.1", 1));
    assertThat(config.tenantListen()).isEqualTo(address("10.0.0.1", 2));
    assertThat(config.adminListen()).isEqualTo(address("127.0.0.1", 3));
    assertThat(config.tls().certificate()).isEqualTo(Path.of("/etc/cofferdam/broker.pem"));
    assertThat(config.tls().key()).isEqualTo(Path.of("/etc/cofferdam/broker.key"));
    assertThat(config.tls().authority()).isEqualTo(Path.of("/etc/cofferdam/ca.pem"));
    assertThat(config.tls().trustDomain()).isEqualTo("example.org");
    assertThat(config.database().url()).isEqualTo("jdbc:postgresql://127.0.0.1:7450/broker");
    assertThat(config.database().user()).isEqualTo("broker");
    assertThat(config.database().passwordFile()).contains(Path.of("/run/password"));
    assertThat(config.database().poolSize()).isEqualTo(20);
    assertThat(config.keysetFile()).isEqualTo(Path.of("/var/lib/cofferdam/broker/sealed.keyset"));
    assertThat(config.store())
        .isEqualTo(
            new StoreConfig.Vault(
                new dev.cofferdam.broker.vault.VaultSettings(
                    "https://vault.example.org:8200",
                    Path.of("/run/vault-token"),
                    "kv",
                    Optional.of(Path.of("/etc/vault-ca.pem")))));
    assertThat(config.cacheTtl()).isZero();
    assertThat(config.grantRetention()).isEqualTo(Duration.ofHours(24));
    assertThat(config.auditRetention()).isEqualTo(Duration.ofHours(24));
    assertThat(config.policyLease()).isEqualTo(Duration.ofHours(1));
    assertThat(config.learn()).isFalse();
    assertThat(config.approvalWait()).isEqualTo(Duration.ofHours(1));
    assertThat(config.slotPrefixes())
        .containsOnly(
            Map.entry("n1", Cidr.parse("100.80.0.0/16")),
            Map.entry("host-2", Cidr.parse("100.81.0.0/16")));
  }

  @Test
  void everyProblemIsToldTogether() {
    assertThatThrownBy(() ->
            BrokerConfig.read(
                Settings.of(
                    "vault-broker",
                    "test",
                    Map.of(
                        "store", "paper",
                        "value.cache-ttl", "6m",
                        "policy.lease", "9s",
                        "policy.learn", "maybe",
                        "database.pool-size", "1",
                        "node.n1.slot-prefix", "100.80.0.1/16",
                        "node.n1.slots", "3",
                        "sealed.key", "x"),
                    Map.of())))
        .isInstanceOf(ConfigException.class)
        .hasMessageContainingAll(
            "tls.certificate",
            "tls.key",
            "tls.authority",
            "database.url",
            "database.user",
            "sealed.keyset-file",
            "store is 'paper'",
            "value.cache-ttl",
            "policy.lease",
            "policy.learn is 'maybe'",
            "database.pool-size",
            "node.n1.slot-prefix",
            "node.n1.slots",
            "sealed.key is not a known key");
  }

  @Test
  void vaultNeedsItsAddressAndToken() {
    assertThatThrownBy(() -> read(Map.of("store", "vault")))
        .hasMessageContaining("vault.token-file");
    assertThatThrownBy(() ->
            read(
                Map.of(
                    "store", "vault",
                    "vault.token-file", "/run/token",
                    "vault.address", "http://vault.example.org:8200")))
        .hasMessageContaining("expected https://");
  }
}
