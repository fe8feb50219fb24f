package dev.cofferdam.broker;

import dev.cofferdam.broker.BrokerConfig.StoreConfig;
import dev.cofferdam.broker.api.MeshApi;
import dev.cofferdam.broker.api.TenantApi;
import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.AuditRetention;
import dev.cofferdam.broker.audit.Reports;
import dev.cofferdam.broker.ca.CertificateAuthority;
import dev.cofferdam.broker.ca.RootReservoir;
import dev.cofferdam.broker.catalog.Secrets;
import dev.cofferdam.broker.grant.Approvals;
import dev.cofferdam.broker.grant.Attachments;
import dev.cofferdam.broker.grant.Grants;
import dev.cofferdam.broker.grant.Materialiser;
import dev.cofferdam.broker.grant.NewGrants;
import dev.cofferdam.broker.grant.Nodes;
import dev.cofferdam.broker.grant.RandomTokens;
import dev.cofferdam.broker.grant.Redemption;
import dev.cofferdam.broker.grant.Retention;
import dev.cofferdam.broker.grant.Sessions;
import dev.cofferdam.broker.oauth.AccessTokens;
import dev.cofferdam.broker.oauth.HttpsTokenEndpoint;
import dev.cofferdam.broker.proposal.Proposals;
import dev.cofferdam.broker.sealed.KeysetFile;
import dev.cofferdam.broker.sealed.SealedStore;
import dev.cofferdam.broker.sealed.Sealer;
import dev.cofferdam.broker.secret.MeteredStore;
import dev.cofferdam.broker.secret.SecretStore;
import dev.cofferdam.broker.secret.ValueCache;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.broker.tenant.Tokens;
import dev.cofferdam.broker.vault.VaultStore;
import dev.cofferdam.kit.admin.AdminServer;
import dev.cofferdam.kit.app.Parts;
import dev.cofferdam.kit.buffer.ZeroingAllocator;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.PeerIdentity;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.kit.server.RpcServer;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.InstantSource;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The wiring of one broker. Closed in reverse order. */
public final class BrokerApp implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(BrokerApp.class);

  /** Values in memory at once: at most 64 MiB. */
  private static final int CACHED_VALUES = 1024;

  /** At most 16 MiB. */
  private static final int CACHED_TOKENS = 1024;

  /** A value's largest size, and room for a name and 64 bindings. */
  private static final int MAX_TENANT_MESSAGE = 512 << 10;

  private final Parts parts;
  private final RpcServer mesh;
  private final RpcServer tenants;
  private final AdminServer admin;

  private BrokerApp(Parts parts, RpcServer mesh, RpcServer tenants, AdminServer admin) {
    this.parts = parts;
    this.mesh = mesh;
    this.tenants = tenants;
    this.admin = admin;
  }

  /**
   * Serves when it returns.
   *
   * @throws IOException when a listener cannot have its address
   */
  public static BrokerApp start(BrokerConfig config, InstantSource clock) throws IOException {
    Parts parts = new Parts();
    try {
      return wire(parts, config, clock);
    } catch (IOException | RuntimeException | Error e) {
      parts.close();
      throw e;
    }
  }

  private static BrokerApp wire(Parts parts, BrokerConfig config, InstantSource clock)
      throws IOException {
    SecureRandom random = new SecureRandom();
    PrometheusMeterRegistry meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    parts.add(meters::close);
    MeshTls tls = parts.add(MeshTls.open(config.tls()));
    tls.bindTo(meters);
    Database database = parts.add(open(config.database(), meters));
    Sealer sealer = new Sealer(KeysetFile.open(config.keysetFile()), random);
    sealer.checkAgainst(database);
    SecretStore store = new MeteredStore(store(config.store(), database, sealer, meters), meters);
    ValueCache values = parts.add(new ValueCache(store, clock, config.cacheTtl(), CACHED_VALUES));
    Gauge.builder("cofferdam.broker.cached.values", values, ValueCache::size)
        .description("Values in memory")
        .register(meters);
    AccessTokens accessTokens =
        parts.add(
            new AccessTokens(
                parts.add(new HttpsTokenEndpoint(config.oauth())),
                values,
                clock,
                config.oauth().cacheTtl(),
                config.oauth().patience(),
                CACHED_TOKENS,
                meters));
    Gauge.builder("cofferdam.broker.cached.tokens", accessTokens, AccessTokens::size)
        .description("Access tokens in memory")
        .register(meters);
    AuditLog audit = new AuditLog(database, name(config.tls()));
    CertificateAuthority authority = new CertificateAuthority(sealer, clock, random);
    Signal news = new Signal();
    Tokens tokens = new Tokens(database, clock);
    RandomTokens ids = new RandomTokens(random);
    RootReservoir roots = parts.add(new RootReservoir(authority, () -> ids.id("ln-")));
    meters.gauge("cofferdam.broker.roots.ready", roots, RootReservoir::size);
    Grants grants = new Grants(database, audit, news, clock, ids);
    NewGrants newGrants = new NewGrants(database, audit, roots, news, clock, ids);
    Nodes nodes = new Nodes(database, audit, config.slotPrefixes().keySet(), clock);
    Redemption redemption = new Redemption(database, audit, config.slotPrefixes(), news, clock);
    Attachments attachments = new Attachments(database, audit, authority, news, clock);
    Materialiser materialiser =
        parts.add(new Materialiser(database, audit, values, accessTokens, clock));
    Approvals approvals =
        parts.add(
            new Approvals(database, audit, clock, ids, config.approvalWait(), name(config.tls())));
    Sessions sessions = new Sessions(database, newGrants, grants, attachments, clock, ids);
    Secrets secrets = new Secrets(database, store, values, accessTokens, audit, grants, clock);
    parts.add(
        Housekeeping.of(
            values,
            accessTokens,
            secrets,
            sessions,
            new Retention(database, clock, config.grantRetention()),
            new AuditRetention(database, clock, config.auditRetention()),
            audit,
            config.cacheTtl()));
    MeshApi meshApi =
        new MeshApi(
            newGrants,
            grants,
            nodes,
            redemption,
            attachments,
            materialiser,
            approvals,
            new Reports(database, audit, clock, meters),
            tokens,
            config.policyLease(),
            config.learn());
    if (!config.learn()) {
      int ended = grants.endLearning();
      log.atInfo().setMessage("learning_forbidden").addKeyValue("ended", ended).log();
    }
    TenantApi tenantApi =
        new TenantApi(
            secrets,
            sessions,
            audit,
            new Proposals(grants, audit),
            approvals,
            tokens,
            config.tls().trustDomain(),
            watchReaders(config.database().poolSize()));
    ZeroingAllocator buffers = new ZeroingAllocator();
    RpcServer mesh =
        parts.add(
            meshApi
                .serve(RpcServer.builder("mesh", config.meshListen()))
                .tls(tls.server(ClientAuth.REQUIRE), tls.trustDomain())
                .allocator(buffers)
                .meters(meters)
                .start());
    RpcServer tenants =
        parts.add(
            tenantApi
                .serve(RpcServer.builder("tenants", config.tenantListen()))
                .tls(tls.server(ClientAuth.OPTIONAL), tls.trustDomain())
                .allocator(buffers)
                .tokens(tokens)
                .meters(meters)
                .maxMessageBytes(MAX_TENANT_MESSAGE)
                .start());
    // Ended before the listeners, which would else wait for streams that have no end of their own.
    parts.add(meshApi);
    parts.add(tenantApi);
    AdminServer admin =
        parts.add(
            AdminServer.start(config.adminListen(), meters, Map.of("database", database::problem)));
    return new BrokerApp(parts, mesh, tenants, admin);
  }

  public int meshPort() {
    return mesh.port();
  }

  public int tenantPort() {
    return tenants.port();
  }

  public int adminPort() {
    return admin.port();
  }

  @Override
  public void close() {
    parts.close();
  }

  /** Of the database's connections most are for uses. */
  private static int watchReaders(int connections) {
    return Math.max(1, connections / 4);
  }

  private static Database open(BrokerConfig.DatabaseConfig config, MeterRegistry meters)
      throws IOException {
    Optional<Path> file = config.passwordFile();
    return Database.open(
        config.url(),
        config.user(),
        file.isPresent() ? Files.readString(file.get()).strip() : "",
        config.poolSize(),
        meters);
  }

  private static SecretStore store(
      StoreConfig config, Database database, Sealer sealer, MeterRegistry meters) {
    return switch (config) {
      case StoreConfig.Sealed _ -> new SealedStore(database, sealer);
      case StoreConfig.Vault vault -> new VaultStore(vault.settings(), meters);
    };
  }

  /** This broker's instance, which its audit chain goes by. */
  private static String name(TlsFiles files) throws IOException {
    try (InputStream pem = Files.newInputStream(files.certificate())) {
      X509Certificate certificate =
          (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(pem);
      return PeerIdentity.of(certificate, files.trustDomain())
          .map(PeerIdentity::instance)
          .orElseThrow(() ->
              new IllegalStateException(
                  "%s carries no identity of %s"
                      .formatted(files.certificate(), files.trustDomain())));
    } catch (CertificateException e) {
      throw new IllegalStateException("cannot read " + files.certificate(), e);
    }
  }
}
