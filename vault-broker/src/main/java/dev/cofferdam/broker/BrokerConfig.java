package dev.cofferdam.broker;

import dev.cofferdam.broker.oauth.OAuthSettings;
import dev.cofferdam.broker.policy.Cidr;
import dev.cofferdam.broker.vault.VaultSettings;
import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.identity.TlsFiles;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Everything that can be set, read once. Environment variables ({@code COFFERDAM_VAULT_BROKER_…})
 * win over the file.
 *
 * @param meshListen {@code mesh.listen}: host:port for services of the mesh; default 127.0.0.1:7410
 * @param tenantListen {@code tenant.listen}: host:port for tenants and operators; default
 *     127.0.0.1:7411
 * @param adminListen {@code admin.listen}: host:port of metrics and health, plain HTTP, loopback
 *     only; default 127.0.0.1:7412
 * @param tls {@code tls.certificate}, {@code tls.key}, {@code tls.authority}: absolute paths, PEM,
 *     required; {@code tls.trust-domain}: default cofferdam.local
 * @param database {@code database.*}
 * @param keysetFile {@code sealed.keyset-file}: absolute path, required with either store, for it
 *     also seals the roots of lineages; made with mode 0600 at the first start. Brokers that share
 *     a database share it
 * @param store {@code store}: {@code sealed} (default) or {@code vault}
 * @param cacheTtl {@code value.cache-ttl}: how long a value may stay in memory after it was read;
 *     0ms to 5m, default 30s; 0ms keeps none
 * @param policyLease {@code policy.lease}: how long a gateway may act on its last acknowledged
 *     policy without the broker; 10s to 24h, default 10m
 * @param learn {@code policy.learn}: whether sandboxes may learn, {@code allowed} or {@code
 *     forbidden}, default allowed. Where it is forbidden those that did are back in mode ENFORCE
 *     from the broker's start
 * @param approvalWait {@code approval.wait}: how long a request waits for an approval; 1s to 1h,
 *     default 5m
 * @param grantRetention {@code grants.retention}: how long the grants of a sandbox are kept after
 *     its end, for copies of it to inherit from; 1h to 3650d, default 30d
 * @param auditRetention {@code audit.retention}: how long an event of the audit is kept at least;
 *     1d to 3650d, default 365d
 * @param oauth {@code oauth.*}: {@link OAuthSettings}
 * @param slotPrefixes {@code node.<instance>.slot-prefix}: CIDR of the slots of that node; a node
 *     without one attaches nothing
 */
public record BrokerConfig(
    InetSocketAddress meshListen,
    InetSocketAddress tenantListen,
    InetSocketAddress adminListen,
    TlsFiles tls,
    DatabaseConfig database,
    Path keysetFile,
    StoreConfig store,
    Duration cacheTtl,
    Duration policyLease,
    boolean learn,
    Duration approvalWait,
    Duration grantRetention,
    Duration auditRetention,
    OAuthSettings oauth,
    Map<String, Cidr> slotPrefixes) {
  private static final String SLOT_PREFIX = ".slot-prefix";

  /**
   * The broker's own PostgreSQL database.
   *
   * @param url {@code database.url}: {@code jdbc:postgresql://host:port/name}, required
   * @param user {@code database.user}: required
   * @param passwordFile {@code database.password-file}: absolute path; default: no password
   * @param poolSize {@code database.pool-size}: connections, 2 to 200, default 10
   */
  public record DatabaseConfig(
      String url, String user, Optional<Path> passwordFile, int poolSize) {}

  /** Where values are kept. */
  public sealed interface StoreConfig {
    /** In the broker's own database, encrypted. */
    record Sealed() implements StoreConfig {}

    /**
     * In KV version 2.
     *
     * @param settings {@code vault.address}: https://host:port, or http:// on loopback, required;
     *     {@code vault.token-file}: absolute path, required; {@code vault.mount}: default {@code
     *     secret}; {@code vault.ca-file}: absolute path, PEM; default: the JDK's authorities
     */
    record Vault(VaultSettings settings) implements StoreConfig {}
  }

  public BrokerConfig {
    slotPrefixes = Map.copyOf(slotPrefixes);
  }

  /**
   * @throws dev.cofferdam.kit.config.ConfigException naming every problem together
   */
  public static BrokerConfig read(Settings settings) {
    InetSocketAddress mesh = settings.address("mesh.listen", "127.0.0.1:7410");
    InetSocketAddress tenants = settings.address("tenant.listen", "127.0.0.1:7411");
    InetSocketAddress admin = settings.address("admin.listen", "127.0.0.1:7412");
    TlsFiles tls = TlsFiles.read(settings);
    DatabaseConfig database =
        new DatabaseConfig(
            settings.requiredText("database.url"),
            settings.requiredText("database.user"),
            settings.optionalPath("database.password-file"),
            settings.integer("database.pool-size", 10, 2, 200));
    Path keyset = settings.requiredPath("sealed.keyset-file");
    Optional<StoreConfig> store = store(settings);
    Duration cacheTtl =
        settings.duration(
            "value.cache-ttl", Duration.ofSeconds(30), Duration.ZERO, Duration.ofMinutes(5));
    Duration lease =
        settings.duration(
            "policy.lease", Duration.ofMinutes(10), Duration.ofSeconds(10), Duration.ofHours(24));
    String learn = settings.text("policy.learn", "allowed");
    if (!learn.equals("allowed") && !learn.equals("forbidden")) {
      settings.problem("policy.learn", "is '" + learn + "', expected allowed or forbidden");
    }
    Duration approvalWait =
        settings.duration(
            "approval.wait", Duration.ofMinutes(5), Duration.ofSeconds(1), Duration.ofHours(1));
    Duration retention =
        settings.duration(
            "grants.retention", Duration.ofDays(30), Duration.ofHours(1), Duration.ofDays(3650));
    Duration auditRetention =
        settings.duration(
            "audit.retention", Duration.ofDays(365), Duration.ofDays(1), Duration.ofDays(3650));
    OAuthSettings oauth = OAuthSettings.read(settings);
    Map<String, Cidr> prefixes = slotPrefixes(settings);
    settings.finish();
    return new BrokerConfig(
        mesh,
        tenants,
        admin,
        tls,
        database,
        keyset,
        store.orElseThrow(),
        cacheTtl,
        lease,
        learn.equals("allowed"),
        approvalWait,
        retention,
        auditRetention,
        oauth,
        prefixes);
  }

  private static Optional<StoreConfig> store(Settings settings) {
    String store = settings.text("store", "sealed");
    String address = settings.text("vault.address", "");
    Optional<Path> token = settings.optionalPath("vault.token-file");
    String mount = settings.text("vault.mount", "secret");
    Optional<Path> authority = settings.optionalPath("vault.ca-file");
    return switch (store) {
      case "sealed" -> Optional.of(new StoreConfig.Sealed());
      case "vault" -> {
        if (token.isEmpty()) {
          settings.problem("vault.token-file", "is required with store=vault");
          yield Optional.empty();
        }
        try {
          yield Optional.of(
              new StoreConfig.Vault(new VaultSettings(address, token.get(), mount, authority)));
        } catch (IllegalArgumentException e) {
          settings.problem("vault.address or vault.mount", "cannot be used: " + e.getMessage());
          yield Optional.empty();
        }
      }
      default -> {
        settings.problem("store", "is '" + store + "', expected sealed or vault");
        yield Optional.empty();
      }
    };
  }

  private static Map<String, Cidr> slotPrefixes(Settings settings) {
    Map<String, Cidr> prefixes = new TreeMap<>();
    settings
        .withPrefix("node.")
        .forEach((rest, value) -> {
          String key = "node." + rest;
          if (!rest.matches("[a-z0-9][a-z0-9-]{0,62}\\" + SLOT_PREFIX)) {
            settings.problem(key, "is not a known key, expected node.<instance>" + SLOT_PREFIX);
            return;
          }
          try {
            prefixes.put(
                rest.substring(0, rest.length() - SLOT_PREFIX.length()), Cidr.parse(value));
          } catch (IllegalArgumentException e) {
            settings.problem(key, "cannot be used: " + e.getMessage());
          }
        });
    return prefixes;
  }
}
