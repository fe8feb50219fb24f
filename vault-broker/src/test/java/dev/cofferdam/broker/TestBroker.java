package dev.cofferdam.broker;

import com.google.protobuf.ByteString;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.DropReportServiceGrpc;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.MaterializeResponse;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.internal.v1.RedeemTicketRequest;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.testkit.SettableClock;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditServiceGrpc;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ListAuditEventsRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.SecretServiceGrpc;
import dev.cofferdam.v1.TokenServiceGrpc;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Brokers on one database, reached as everybody reaches them: over TLS, with a certificate or a
 * token. Everything that a test opens is closed with it.
 */
public final class TestBroker implements AutoCloseable {
  /** How long a test waits for what has to happen. */
  public static final long PATIENCE_S = 30;

  /** Of node n1; n2 has 100.81.0.0/16 and n3 none. */
  public static final String SLOT = "100.80.0.7";

  public static final String HOST = "api.example.com";
  public static final String VALUE = "sk-test-0123456789abcdef";

  public final SettableClock clock = SettableClock.fixed();
  public final TestPostgres.Database database;

  private final Path directory;
  private final TestCertificates certificates;
  private final Map<String, String> extra;
  private final Deque<AutoCloseable> open = new ArrayDeque<>();
  private final AtomicInteger counter = new AtomicInteger();
  private BrokerApp app;

  public TestBroker(Path directory, TestPostgres postgres) throws IOException {
    this(directory, postgres, Map.of());
  }

  /**
   * @param extra settings on top of what a broker needs
   */
  public TestBroker(Path directory, TestPostgres postgres, Map<String, String> extra)
      throws IOException {
    this.directory = directory;
    this.extra = extra;
    this.certificates = TestCertificates.in(directory);
    this.database = postgres.createDatabase();
    this.app = launch("b1");
  }

  /** A further broker on the same database and keyset; closed with this. */
  public BrokerApp another(String instance) throws IOException {
    BrokerApp other = launch(instance);
    open.push(other);
    return other;
  }

  /** Ends the broker and starts it anew, on other ports. */
  public void restart() throws IOException {
    app.close();
    app = launch("b1");
  }

  private BrokerApp launch(String instance) throws IOException {
    return BrokerApp.start(
        BrokerConfig.read(Settings.of("vault-broker", "test", settings(instance), Map.of())),
        clock);
  }

  public Map<String, String> settings(String instance) throws IOException {
    var files = certificates.peer("vault-broker", instance);
    Path password = directory.resolve("database-password");
    Files.writeString(password, database.password() + "\n");
    Map<String, String> settings = new TreeMap<>();
    settings.put("mesh.listen", "127.0.0.1:0");
    settings.put("tenant.listen", "127.0.0.1:0");
    settings.put("admin.listen", "127.0.0.1:0");
    settings.put("tls.certificate", files.certificate().toString());
    settings.put("tls.key", files.key().toString());
    settings.put("tls.authority", files.authority().toString());
    settings.put("database.url", database.url());
    settings.put("database.user", database.user());
    settings.put("database.password-file", password.toString());
    settings.put("sealed.keyset-file", directory.resolve("sealed.keyset").toString());
    settings.put("node.n1.slot-prefix", "100.80.0.0/16");
    settings.put("node.n2.slot-prefix", "100.81.0.0/16");
    settings.putAll(extra);
    return settings;
  }

  public BrokerApp app() {
    return app;
  }

  public TestCertificates certificates() {
    return certificates;
  }

  // Clients.

  /** Registers a token of the tenant and returns it. */
  public String token(String tenant, String... scopes) {
    int number = counter.incrementAndGet();
    String token = "cf_token-of-" + tenant + "-" + number;
    var _ =
        operator()
            .registerToken(
                RegisterTokenRequest.newBuilder()
                    .setId(
                        "tk-aaaaaaaaaaaaaa"
                            + (char) ('a' + number / 26)
                            + (char) ('a' + number % 26))
                    .setTenant(tenant)
                    .addAllScopes(List.of(scopes))
                    .setSha256(ByteString.copyFrom(TokenHashes.sha256(token)))
                    .build());
    return token;
  }

  /** With every scope that a scheduler may see. */
  public String apiToken(String tenant) {
    return token(tenant, "sandboxes:read", "sandboxes:write", "secrets:use", "audit:read");
  }

  public String secretsToken(String tenant) {
    return token(tenant, "secrets:read", "secrets:write", "audit:read");
  }

  public TokenServiceGrpc.TokenServiceBlockingStub operator() {
    return TokenServiceGrpc.newBlockingStub(peer("operator", "alice", app.tenantPort()))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  public SecretServiceGrpc.SecretServiceBlockingStub secrets(String token) {
    return SecretServiceGrpc.newBlockingStub(tenant(token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  public AuditServiceGrpc.AuditServiceBlockingStub audit(String token) {
    return AuditServiceGrpc.newBlockingStub(tenant(token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  public GrantServiceGrpc.GrantServiceBlockingStub scheduler(String token) {
    Channel channel = peer("scheduler-svc", "s1", app.meshPort());
    return GrantServiceGrpc.newBlockingStub(bearing(channel, token))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  public AttachmentServiceGrpc.AttachmentServiceBlockingStub gateway(String instance) {
    return AttachmentServiceGrpc.newBlockingStub(peer("egress-gateway", instance, app.meshPort()))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  public AttachmentServiceGrpc.AttachmentServiceStub gatewayStreams(String instance) {
    return AttachmentServiceGrpc.newStub(peer("egress-gateway", instance, app.meshPort()));
  }

  public DropReportServiceGrpc.DropReportServiceBlockingStub node(String instance) {
    return DropReportServiceGrpc.newBlockingStub(peer("node-agent", instance, app.meshPort()))
        .withDeadlineAfter(PATIENCE_S, TimeUnit.SECONDS);
  }

  /** A channel without a client certificate, as a tenant has one. */
  public Channel tenant(String token) {
    try {
      ManagedChannel channel =
          Grpc.newChannelBuilder(
                  "127.0.0.1:" + app.tenantPort(),
                  TlsChannelCredentials.newBuilder()
                      .trustManager(certificates.authorityFile().toFile())
                      .build())
              .overrideAuthority("localhost")
              .build();
      open.push(channel::shutdownNow);
      return bearing(channel, token);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  public ManagedChannel peer(String service, String instance, int port) {
    var files = certificates.peer(service, instance);
    MeshTls tls =
        MeshTls.open(
            new TlsFiles(
                files.certificate(),
                files.key(),
                files.authority(),
                TestCertificates.TRUST_DOMAIN));
    open.push(tls);
    ManagedChannel channel =
        new MeshChannels(tls)
            .to(InetSocketAddress.createUnresolved("127.0.0.1", port), "vault-broker");
    open.push(channel::shutdownNow);
    return channel;
  }

  public static Channel bearing(Channel channel, String token) {
    return token.isEmpty()
        ? channel
        : ClientInterceptors.intercept(
            channel, MetadataUtils.newAttachHeadersInterceptor(Callers.bearer(token)));
  }

  // What most tests begin with.

  /** A sandbox of tenant acme with one secret bound to {@link #HOST}, attached at gateway g1. */
  public Attached attached(String secret) {
    String secretsToken = secretsToken("acme");
    var _ = secrets(secretsToken).putSecret(put(secret, VALUE).build());
    return attached(secret, apiToken("acme"), secretsToken, "g1", nextSlot());
  }

  public Attached attached(
      String secret, String apiToken, String secretsToken, String gateway, String slot) {
    CreateGrantsResponse granted = scheduler(apiToken).createGrants(grants(newSandbox(), secret));
    String sandbox = lastSandbox();
    var _ = gateway(gateway).redeemTicket(redeem(granted.getAttachTicket(), slot));
    return new Attached(
        sandbox,
        slot,
        granted.getGeneration(),
        granted.getPlaceholders(0).getPlaceholder(),
        apiToken,
        secretsToken);
  }

  /** Everything about a sandbox that a test asks for again. */
  public record Attached(
      String sandbox,
      String slot,
      long generation,
      String placeholder,
      String apiToken,
      String secretsToken) {
    public MaterializeRequest.Builder request() {
      return MaterializeRequest.newBuilder()
          .setSandbox(sandbox)
          .setSlotAddress(slot)
          .setGeneration(generation)
          .setRequest("00112233445566778899aabbccddeeff")
          .setHost(HOST)
          .setPort(443)
          .setMethod("GET")
          .setPath("/v1/models")
          .setTls(true)
          .addUses(use(placeholder, "header:authorization"));
    }
  }

  private String lastSandbox = "";

  public String newSandbox() {
    lastSandbox = "sb-aaaaaaaaaaaaaaaa" + "%04d".formatted(counter.incrementAndGet());
    return lastSandbox;
  }

  public String lastSandbox() {
    return lastSandbox;
  }

  public String nextSlot() {
    int number = counter.incrementAndGet();
    return "100.80.%d.%d".formatted(1 + number / 256, number % 256);
  }

  public static PutSecretRequest.Builder put(String name, String value) {
    return PutSecretRequest.newBuilder()
        .setName(name)
        .setValue(ByteString.copyFromUtf8(value))
        .addBindings(SecretBinding.newBuilder().addHosts(HOST));
  }

  public static CreateGrantsRequest grants(String sandbox, String... secrets) {
    CreateGrantsRequest.Builder request =
        CreateGrantsRequest.newBuilder()
            .setSandbox(sandbox)
            .setNode("n1")
            .setEpoch(1)
            .setPolicy(policy(HOST));
    for (String secret : secrets) {
      request.addSecrets(SecretReference.newBuilder().setSecret(secret));
    }
    return request.build();
  }

  public static EgressPolicy policy(String... hosts) {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    for (String host : hosts) {
      policy.addRules(EgressRule.newBuilder().setHost(host));
    }
    return policy.build();
  }

  public static RedeemTicketRequest redeem(String ticket, String slot) {
    return RedeemTicketRequest.newBuilder()
        .setTicket(ticket)
        .setNode("n1")
        .setSlotAddress(slot)
        .build();
  }

  public static PlaceholderUse use(String placeholder, String target) {
    return PlaceholderUse.newBuilder()
        .setPlaceholderSha256(ByteString.copyFrom(TokenHashes.sha256(placeholder)))
        .setTarget(target)
        .setOccurrences(1)
        .build();
  }

  public static List<String> texts(MaterializeResponse response) {
    return response.getValuesList().stream()
        .map(value -> value.toString(StandardCharsets.UTF_8))
        .toList();
  }

  /** All events of the token's tenant. */
  public List<AuditEvent> events(String token) {
    List<AuditEvent> events = new ArrayList<>();
    String cursor = "";
    do {
      var page =
          audit(token)
              .listAuditEvents(ListAuditEventsRequest.newBuilder().setCursor(cursor).build());
      events.addAll(page.getEventsList());
      cursor = page.getNextCursor();
    } while (!cursor.isEmpty());
    return events;
  }

  /** Ends every connection that a test opened, and further brokers. */
  public void closeClients() {
    while (!open.isEmpty()) {
      try {
        open.pop().close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @Override
  public void close() {
    closeClients();
    app.close();
  }
}
