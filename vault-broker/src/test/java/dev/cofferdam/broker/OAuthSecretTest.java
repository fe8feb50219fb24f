package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertEgressRefused;
import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.broker.oauth.TokenServer;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.AccessTokenSource;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.ClientAuthentication;
import dev.cofferdam.v1.ClientCredentials;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RotateSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Secrets that are a client's: what is handed out is an access token, fetched by the broker. */
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class OAuthSecretTest {
  private static final String SECRET = "the-clients-own-secret";
  private static final String TOKEN = "token-0123456789abcdef";

  private static TestPostgres postgres;

  private Map<String, String> settings;
  private TestBroker broker;
  private TokenServer server;

  @BeforeAll
  static void startPostgres() {
    postgres = TestPostgres.start();
  }

  @AfterAll
  static void stopPostgres() {
    postgres.close();
  }

  @BeforeEach
  void start(@TempDir Path directory) throws IOException {
    TestCertificates certificates =
        TestCertificates.in(Files.createDirectory(directory.resolve("outside")));
    server = new TokenServer(certificates.peer("login", "l1"));
    settings = new TreeMap<>(settings(directory, certificates.authorityFile()));
    broker = new TestBroker(directory, postgres, settings);
  }

  static Map<String, String> settings(Path directory, Path authority) throws IOException {
    Path hosts = directory.resolve("hosts");
    Files.writeString(hosts, "127.0.0.1 localhost\n");
    return Map.of(
        "oauth.ca-file",
        authority.toString(),
        "oauth.hosts-file",
        hosts.toString(),
        // However busy the machine.
        "oauth.wait",
        TestBroker.PATIENCE_S + "s");
  }

  @AfterEach
  void stop() throws IOException {
    broker.close();
    server.close();
  }

  static PutSecretRequest.Builder put(TokenServer server, String value) {
    return TestBroker.put("client", value)
        .setOauth(
            ClientCredentials.newBuilder()
                .setTokenUrl(server.url() + "?tenant=t1")
                .setClientId("client-1")
                .setScope("read"));
  }

  private Attached attached() {
    String secrets = broker.secretsToken("acme");
    var _ = broker.secrets(secrets).putSecret(put(server, SECRET).build());
    return attachedTo(secrets);
  }

  private Attached attachedTo(String secrets) {
    return broker.attached("client", broker.apiToken("acme"), secrets, "g1", broker.nextSlot());
  }

  private String materialised(MaterializeRequest.Builder request) {
    return TestBroker.texts(broker.gateway("g1").materialize(request.build())).getFirst();
  }

  private static MaterializeRequest.Builder after401(Attached attached) {
    return attached
        .request()
        .clearUses()
        .addUses(
            PlaceholderUse.newBuilder(
                    TestBroker.use(attached.placeholder(), "header:authorization"))
                .setAfterUnauthorized(true));
  }

  private List<AuditEvent> uses(Attached attached) {
    return broker.events(attached.apiToken()).stream()
        .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
        .toList();
  }

  private void awaitCached(int tokens) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(TestBroker.PATIENCE_S);
    while (cached() != tokens && System.nanoTime() < end) {
      Thread.onSpinWait();
    }
    assertThat(cached()).isEqualTo(tokens);
  }

  /** Of how many secrets there is a token in the broker's memory. */
  private double cached() throws Exception {
    URI metrics = URI.create("http://127.0.0.1:%d/metrics".formatted(broker.app().adminPort()));
    try (InputStream in = metrics.toURL().openStream()) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> line.startsWith("cofferdam_broker_cached_tokens "))
          .mapToDouble(line -> Double.parseDouble(line.substring(line.indexOf(' ') + 1)))
          .findFirst()
          .orElseThrow();
    }
  }

  @Test
  void aTokenIsHandedOutAndBothUsesAreOnRecord() throws Exception {
    Attached attached = attached();
    assertThat(materialised(attached.request())).isEqualTo(TOKEN);
    assertThat(materialised(attached.request())).isEqualTo(TOKEN);
    assertThat(server.requests).hasSize(1);
    assertThat(server.requests.getFirst().basic()).isEqualTo("client-1:" + SECRET);
    assertThat(server.requests.getFirst().body())
        .isEqualTo("grant_type=client_credentials&scope=read");
    List<AuditEvent> uses = uses(attached);
    assertThat(uses)
        .extracting(AuditEvent::getTarget)
        .containsExactly("header:authorization", "oauth:token", "header:authorization");
    assertThat(uses)
        .extracting(AuditEvent::getAccessToken)
        .containsExactly(
            AccessTokenSource.ACCESS_TOKEN_SOURCE_ENDPOINT,
            AccessTokenSource.ACCESS_TOKEN_SOURCE_UNSPECIFIED,
            AccessTokenSource.ACCESS_TOKEN_SOURCE_CACHE);
    AuditEvent sent = uses.get(1);
    assertThat(sent.getHost()).isEqualTo("localhost");
    assertThat(sent.getPort()).isEqualTo(server.port());
    assertThat(sent.getMethod()).isEqualTo("POST");
    assertThat(sent.getPath()).isEqualTo("/oauth/token");
    assertThat(sent.getSecret()).isEqualTo("client");
    assertThat(sent.getRequest()).isEqualTo(attached.request().getRequest());
    assertThat(uses.toString()).doesNotContain(TOKEN, SECRET, "tenant=t1");
    awaitCached(1);
  }

  @Test
  void itIsReadBackWithoutItsValueAndLastsOverARestart() throws Exception {
    Attached attached = attached();
    broker.restart();
    var listed =
        broker
            .secrets(attached.secretsToken())
            .listSecrets(ListSecretsRequest.getDefaultInstance())
            .getSecrets(0);
    assertThat(listed.getOauth())
        .isEqualTo(
            put(server, SECRET).getOauth().toBuilder()
                .setAuthentication(ClientAuthentication.CLIENT_AUTHENTICATION_BASIC)
                .build());
  }

  @Test
  void fiftyAtATimeAreOneFetch() throws Exception {
    Attached attached = attached();
    CountDownLatch gate = new CountDownLatch(1);
    CountDownLatch asked = new CountDownLatch(1);
    server.answer =
        out -> {
          asked.countDown();
          gate.await();
          TokenServer.token(TOKEN, 3600).write(out);
        };
    var gateway = broker.gateway("g1");
    try (ExecutorService threads = Executors.newFixedThreadPool(50)) {
      List<Future<String>> answers = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        answers.add(
            threads.submit(() ->
                TestBroker.texts(gateway.materialize(attached.request().build())).getFirst()));
      }
      assertThat(asked.await(TestBroker.PATIENCE_S, TimeUnit.SECONDS)).isTrue();
      gate.countDown();
      for (Future<String> answer : answers) {
        assertThat(answer.get(TestBroker.PATIENCE_S, TimeUnit.SECONDS)).isEqualTo(TOKEN);
      }
    }
    assertThat(server.requests).hasSize(1);
    assertThat(uses(attached).stream().filter(use -> use.getTarget().equals("oauth:token")))
        .hasSize(1);
  }

  @Test
  void aRotatedSecretsTokenIsForgotten() throws Exception {
    Attached attached = attached();
    assertThat(materialised(attached.request())).isEqualTo(TOKEN);
    server.answer = TokenServer.token("token-of-the-new-secret", 3600);
    var _ =
        broker
            .secrets(attached.secretsToken())
            .rotateSecret(
                RotateSecretRequest.newBuilder()
                    .setName("client")
                    .setValue(ByteString.copyFromUtf8("the-clients-new-secret"))
                    .build());
    // With the answer, not when the broker next looks for what is used no more.
    assertThat(cached()).isZero();
    assertThat(materialised(attached.request())).isEqualTo("token-of-the-new-secret");
    assertThat(server.requests.getLast().basic()).isEqualTo("client-1:the-clients-new-secret");
  }

  @Test
  void aDeletedSecretsTokenIsForgotten() throws Exception {
    Attached attached = attached();
    assertThat(materialised(attached.request())).isEqualTo(TOKEN);
    var _ =
        broker
            .secrets(attached.secretsToken())
            .deleteSecret(DeleteSecretRequest.newBuilder().setName("client").build());
    // With the answer, not when the broker next looks for what is used no more.
    assertThat(cached()).isZero();
    assertEgressRefused(
        () -> materialised(attached.request()), EgressReason.EGRESS_REASON_GRANT_REVOKED);
  }

  @Test
  void whenTheLastGrantEndsTheTokenIsForgotten() throws Exception {
    Attached first = attached();
    Attached second = attachedTo(first.secretsToken());
    assertThat(materialised(first.request())).isEqualTo(TOKEN);
    revoke(first);
    assertThat(materialised(second.request())).isEqualTo(TOKEN);
    assertThat(server.requests).hasSize(1);
    revoke(second);
    awaitCached(0);
  }

  private void revoke(Attached attached) {
    var _ =
        broker
            .scheduler(attached.apiToken())
            .revokeGrants(RevokeGrantsRequest.newBuilder().setSandbox(attached.sandbox()).build());
  }

  @Test
  void whatAnotherBrokerChangedIsForgottenToo() throws Exception {
    Attached attached = attached();
    assertThat(materialised(attached.request())).isEqualTo(TOKEN);
    try (Connection other = broker.database.connect();
        Statement statement = other.createStatement()) {
      statement.execute("update secret set value = gen_random_uuid(), version = version + 1");
    }
    awaitCached(0);
  }

  @Test
  void after401ATokenThatIsNotYoungIsFetchedAnew() {
    Attached attached = attached();
    assertThat(materialised(attached.request())).isEqualTo(TOKEN);
    assertThat(materialised(after401(attached))).isEqualTo(TOKEN);
    assertThat(server.requests).hasSize(1);
    broker.clock.advance(Duration.ofSeconds(10));
    assertThat(materialised(attached.request())).isEqualTo(TOKEN);
    assertThat(server.requests).hasSize(1);
    server.answer = TokenServer.token("token-after-the-401", 3600);
    assertThat(materialised(after401(attached))).isEqualTo("token-after-the-401");
    assertThat(server.requests).hasSize(2);
    assertThat(uses(attached).getLast().getTarget()).isEqualTo("oauth:token");
  }

  @Test
  void aRefusalIsTheOwnersToReadAndNotTheGuests() {
    Attached attached = attached();
    server.answer =
        TokenServer.json(401, "{\"error\":\"invalid_client\",\"error_description\":\"own words\"}");
    assertThatThrownBy(() -> materialised(attached.request()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(Refused.egressReason(e)).isEqualTo("TOKEN_REFUSED");
              assertThat(e.toString()).doesNotContain("invalid_client", "own words", "401");
            });
    AuditEvent became = uses(attached).getLast();
    assertThat(became.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(became.getReason()).isEqualTo(EgressReason.EGRESS_REASON_TOKEN_REFUSED);
    assertThat(became.getTarget()).isEqualTo("header:authorization");
    assertThat(became.getMessage())
        .isEqualTo("the token endpoint answered with status 401, invalid_client");
    // The next one does not ask again yet, and a while later does.
    assertEgressRefused(
        () -> materialised(attached.request()), EgressReason.EGRESS_REASON_TOKEN_REFUSED);
    assertThat(server.requests).hasSize(1);
    server.answer = TokenServer.token(TOKEN, 3600);
    broker.clock.advance(Duration.ofSeconds(5));
    assertThat(materialised(attached.request())).isEqualTo(TOKEN);
  }

  @Test
  void anEndpointThatIsAwayIsToldSo() throws IOException {
    Attached attached = attached();
    server.close();
    assertEgressRefused(
        () -> materialised(attached.request()), EgressReason.EGRESS_REASON_TOKEN_UNAVAILABLE);
    // No connection, so nothing was sent and nothing is on record as sent.
    assertThat(uses(attached)).extracting(AuditEvent::getTarget).doesNotContain("oauth:token");
  }

  @Test
  void anEndpointThatDoesNotAnswerHoldsUpNoGateway() throws IOException {
    settings.put("oauth.wait", "100ms");
    broker.restart();
    Attached attached = attached();
    CountDownLatch never = new CountDownLatch(1);
    server.answer = _ -> never.await();
    assertEgressRefused(
        () -> materialised(attached.request()), EgressReason.EGRESS_REASON_TOKEN_UNAVAILABLE);
    assertThat(uses(attached).getLast().getMessage())
        .isEqualTo("the token endpoint has not answered yet");
    never.countDown();
  }

  @ParameterizedTest
  @ValueSource(strings = {"aws4:*/*", "hmac"})
  void aKeyThatSignsFetchesNothing(String target) {
    PutSecretRequest.Builder request = put(server, "AKIAIOSFODNN7EXAMPLE:0123456789abcdef");
    SecretBinding.Builder binding = request.getBindingsBuilder(0);
    if (target.equals("hmac")) {
      binding.getHmacBuilder().setHeader("x-signature").setMessage("{body}");
    } else {
      binding.addTargets(target);
    }
    assertRefused(
        () -> broker.secrets(broker.secretsToken("acme")).putSecret(request.build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_BINDING_INVALID);
  }

  @Test
  void aClientThatMakesNoSenseIsRefused() {
    List<UnaryOperator<ClientCredentials.Builder>> changes =
        List.of(
            client -> client.setTokenUrl("http://login.example.com/token"),
            client -> client.setTokenUrl("https://login.example.com"),
            client -> client.setTokenUrl("https://user@login.example.com/"),
            client -> client.setTokenUrl("https://login.example.com:0/"),
            client -> client.setTokenUrl("https://login.example.com:65536/"),
            client -> client.setTokenUrl("https://login.example.com/#a"),
            client -> client.setTokenUrl("https://login.example.com/a b"),
            client -> client.setTokenUrl("https://login.example.com/a\r\nX: y"),
            client -> client.setTokenUrl("https://login.example.com\\@other.example.com/"),
            client -> client.setTokenUrl("https://login.example.com/" + "a".repeat(1024)),
            client -> client.clearClientId(),
            client -> client.setClientId("a\r\nb"),
            client -> client.setClientId("a".repeat(257)),
            client -> client.setScope("a  b"),
            client -> client.setScope("a\"b"),
            client -> client.setAudience("a b"),
            client -> client.setResource("a".repeat(1025)),
            client -> client.setAuthenticationValue(7));
    var secrets = broker.secrets(broker.secretsToken("acme"));
    for (UnaryOperator<ClientCredentials.Builder> change : changes) {
      PutSecretRequest.Builder request = put(server, SECRET);
      var _ = change.apply(request.getOauthBuilder());
      assertRefused(
          () -> secrets.putSecret(request.build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_BINDING_INVALID);
    }
    for (String host :
        List.of("169.254.169.254", "2852039166", "0xa9fea9fe", "[::1]", "LOCALHOST")) {
      PutSecretRequest.Builder request = put(server, SECRET);
      var _ = request.getOauthBuilder().setTokenUrl("https://%s/".formatted(host));
      assertThatThrownBy(() -> secrets.putSecret(request.build()))
          .as(host)
          .isInstanceOf(StatusRuntimeException.class);
    }
    assertRefused(
        () -> secrets.putSecret(put(server, "a".repeat(4097)).build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
  }
}
