package dev.cofferdam.broker.oauth;

import static dev.cofferdam.broker.secret.SecretStoreContract.value;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.oauth.TokenServer.Request;
import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.kit.upstream.HostsFile;
import dev.cofferdam.testkit.ClosedPort;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.ClientAuthentication;
import dev.cofferdam.v1.ClientCredentials;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Over real TLS to a real endpoint. */
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class HttpsTokenEndpointTest {
  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final String SECRET = "s3cret: of+the/client~ä";
  private static final String PINS = "127.0.0.1 localhost login.example.com";

  @TempDir private Path directory;
  private TestCertificates certificates;
  private TokenServer server;
  private HttpsTokenEndpoint endpoint;

  @BeforeEach
  void start() throws IOException {
    certificates = TestCertificates.in(Files.createDirectory(directory.resolve("ca")));
    server = new TokenServer(certificates.peer("login", "l1"));
    endpoint = endpoint(PINS, List.of(), 7400);
  }

  @AfterEach
  void stop() throws IOException {
    endpoint.close();
    server.close();
  }

  private HttpsTokenEndpoint endpoint(
      String pins, List<InetSocketAddress> resolvers, int meshPort) {
    return new HttpsTokenEndpoint(
        new OAuthSettings(
            Duration.ofHours(1),
            PATIENCE,
            Optional.of(certificates.authorityFile()),
            HostsFile.parse(List.of(pins)),
            resolvers,
            meshPort,
            meshPort));
  }

  private ClientCredentials.Builder client() {
    return ClientCredentials.newBuilder().setTokenUrl(server.url()).setClientId("client:1");
  }

  private String ask(ClientCredentials.Builder client, Duration within) {
    try (TokenEndpoint.Connection connection = endpoint.connect(new OAuth(client.build()), within);
        SecretValue secret = value(SECRET);
        AccessToken token = connection.ask(secret)) {
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < token.value().length(); i++) {
        text.append((char) token.value().at(i));
      }
      return text + " for " + token.lifetime().toSeconds();
    }
  }

  private String ask() {
    return ask(client(), PATIENCE);
  }

  private AbstractThrowableAssert<?, ?> assertUnavailable() {
    return assertThatThrownBy(this::ask)
        .isInstanceOfSatisfying(TokenException.class, e -> assertThat(e.refused()).isFalse());
  }

  @Test
  void theClientProvesItselfInTheHeader() {
    assertThat(ask(client().setScope("read write").setAudience("https://api/?a&b"), PATIENCE))
        .isEqualTo("token-0123456789abcdef for 3600");
    Request request = server.requests.getFirst();
    assertThat(request.head())
        .startsWith("POST /oauth/token HTTP/1.1\r\nHost: localhost:%d\r\n".formatted(server.port()))
        .contains("\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    assertThat(request.basic()).isEqualTo("client%3A1:s3cret%3A+of%2Bthe%2Fclient%7E%C3%A4");
    assertThat(request.body())
        .isEqualTo(
            "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fapi%2F%3Fa%26b");
  }

  @Test
  void orInTheBody() {
    var _ =
        ask(
            client()
                .setResource("urn:r")
                .setAuthentication(ClientAuthentication.CLIENT_AUTHENTICATION_POST),
            PATIENCE);
    Request request = server.requests.getFirst();
    assertThat(request.head()).doesNotContainIgnoringCase("authorization");
    assertThat(request.body())
        .isEqualTo(
            "grant_type=client_credentials&resource=urn%3Ar&client_id=client%3A1"
                + "&client_secret=s3cret%3A+of%2Bthe%2Fclient%7E%C3%A4");
  }

  @Test
  void answersAreReadInEveryFormThatHttpHas() {
    String json = "{\"access_token\":\"token-of-another-form\",\"token_type\":\"bearer\"}";
    server.answer =
        TokenServer.raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n5\r\n"
                + json.substring(0, 5)
                + "\r\n%x\r\n".formatted(json.length() - 5)
                + json.substring(5)
                + "\r\n0\r\n\r\n");
    assertThat(ask()).isEqualTo("token-of-another-form for 60");
    server.answer = TokenServer.raw("HTTP/1.0 200 OK\r\n\r\n" + json);
    assertThat(ask()).isEqualTo("token-of-another-form for 60");
  }

  @ParameterizedTest
  @CsvSource({
    "400,invalid_scope,'status 400, invalid_scope'",
    "401,invalid_client,'status 401, invalid_client'",
    "403,say sk-live-0123,status 403",
    "401,<html>,status 401",
  })
  void aRefusalIsToldByItsCodeAlone(int status, String error, String told) {
    server.answer =
        TokenServer.json(
            status,
            "{\"error\":\"%s\",\"error_description\":\"s3cret of the client\"}".formatted(error));
    assertThatThrownBy(this::ask)
        .isInstanceOfSatisfying(TokenException.class, e -> assertThat(e.refused()).isTrue())
        .hasMessage("the token endpoint answered with " + told);
    server.answer = TokenServer.raw("HTTP/1.1 401 No\r\nContent-Length: 6\r\n\r\nsecret");
    assertThatThrownBy(this::ask).hasMessage("the token endpoint answered with status 401");
  }

  @ParameterizedTest
  @ValueSource(ints = {204, 404, 429, 500, 503})
  void whatIsNeitherIsNone(int status) {
    server.answer = TokenServer.json(status, "");
    assertUnavailable().hasMessageContaining("status " + status);
  }

  @ParameterizedTest
  @ValueSource(ints = {301, 302, 303, 307, 308})
  void redirectsAreNotFollowed(int status) {
    server.answer =
        TokenServer.raw(
            "HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
                .formatted(status, server.url()));
    assertUnavailable().hasMessageContaining("redirects are not followed");
    assertThat(server.requests).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"token_type\":\"Bearer\"}",
        "{\"access_token\":\"token-0123456789abcdef\"}",
        "{\"access_token\":\"token-0123456789abcdef\",\"token_type\":\"mac\"}",
        "{\"access_token\":\"too-short\",\"token_type\":\"Bearer\"}",
        "{\"access_token\":\"token-0123456789 abcdef\",\"token_type\":\"Bearer\"}",
        "{\"access_token\":\"token-0123456789abcdef\",\"token_type\":\"Bearer\",\"expires_in\":-1}",
        "{\"access_token\":\"token-0123456789abcdef\",\"access_token\":\"token-0123456789abcdef\","
            + "\"token_type\":\"Bearer\"}",
        "{\"access_token\":\"token-0123456789abcdef\",\"token_type\":\"Bearer\"",
        "access_token=token-0123456789abcdef&token_type=bearer",
        "",
      })
  void whatIsNoAnswerOfATokenEndpointIsNotUsed(String body) {
    server.answer = TokenServer.json(200, body);
    assertUnavailable().hasMessageNotContaining("0123456789");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nothing of HTTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{\"access_token\":",
        "HTTP/1.1 200 OK\r\n",
        "",
      })
  void whatIsNoHttpOrIsCutOffIsNotUsed(String answer) {
    server.answer = TokenServer.raw(answer);
    assertUnavailable();
  }

  @Test
  void aCodingThatWasNotAskedForIsNotRead() {
    server.answer =
        TokenServer.raw(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
                + "{\"access_token\":\"token-0123456789abcdef\",\"token_type\":\"Bearer\"}");
    assertUnavailable().hasMessageContaining("has a coding");
  }

  @Test
  void aHugeAnswerIsNotReadToItsEnd() {
    CountDownLatch ended = new CountDownLatch(1);
    server.answer =
        out -> {
          try {
            out.write(
                "HTTP/1.1 200 OK\r\n\r\n{\"a\":\""
                    .getBytes(java.nio.charset.StandardCharsets.US_ASCII));
            byte[] piece = new byte[8192];
            java.util.Arrays.fill(piece, (byte) 'a');
            // Without an end: it is the client that ends it.
            while (true) {
              out.write(piece);
            }
          } finally {
            ended.countDown();
          }
        };
    assertUnavailable().hasMessageContaining("more than 65536 bytes");
    assertThat(await(ended)).isTrue();
  }

  @Test
  void aHugeHeadIsNotReadEither() {
    server.answer = TokenServer.raw("HTTP/1.1 200 OK\r\nX: " + "a".repeat(20_000) + "\r\n\r\n{}");
    assertUnavailable().hasMessageContaining("no HTTP");
  }

  @Test
  void aSlowAnswerIsGivenUp() {
    CountDownLatch never = new CountDownLatch(1);
    server.answer = _ -> never.await();
    assertThatThrownBy(() -> ask(client(), Duration.ofSeconds(2)))
        .isInstanceOf(TokenException.class)
        .hasMessageContaining("did not answer in time");
    never.countDown();
  }

  @Test
  void aServerThatNeverShakesHandsIsGivenUp() throws IOException {
    try (ServerSocket silent = new ServerSocket(0, 8, InetAddress.getByName("127.0.0.1"))) {
      ClientCredentials.Builder client =
          client().setTokenUrl("https://localhost:%d/".formatted(silent.getLocalPort()));
      assertThatThrownBy(() -> ask(client, Duration.ofSeconds(1)))
          .isInstanceOf(TokenException.class)
          .hasMessageContaining("no verified TLS connection");
    }
  }

  @Test
  void nobodyListens() throws IOException {
    try (ClosedPort nobody = ClosedPort.at("127.0.0.1")) {
      ClientCredentials.Builder client =
          client().setTokenUrl("https://localhost:%d/".formatted(nobody.port()));
      assertThatThrownBy(() -> ask(client, PATIENCE))
          .isInstanceOfSatisfying(TokenException.class, e -> assertThat(e.refused()).isFalse())
          .hasMessageContaining("does not take a connection");
    }
  }

  @Test
  void aCertificateOfAnotherNameIsNotSpokenTo() {
    ClientCredentials.Builder client =
        client().setTokenUrl("https://login.example.com:%d/".formatted(server.port()));
    assertThatThrownBy(() -> ask(client, PATIENCE))
        .isInstanceOf(TokenException.class)
        .hasMessageContaining("no verified TLS connection");
    assertThat(server.requests).isEmpty();
  }

  @Test
  void norOneThatIsOver() throws IOException {
    server.close();
    Instant now = Instant.now();
    server =
        new TokenServer(
            certificates.peer(
                "login", "old", now.minus(Duration.ofDays(2)), now.minus(Duration.ofDays(1))));
    assertUnavailable().hasMessageContaining("no verified TLS connection");
    assertThat(server.requests).isEmpty();
  }

  @Test
  void norOneOfAnAuthorityThatIsNotTrusted() throws IOException {
    server.close();
    server =
        new TokenServer(
            TestCertificates.in(Files.createDirectory(directory.resolve("other")))
                .peer("login", "l1"));
    assertUnavailable().hasMessageContaining("no verified TLS connection");
    assertThat(server.requests).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.80.0.7",
        "192.168.0.1",
        "0.0.0.0"
      })
  void aNameThatLeadsToAnAddressThatIsNotPublicIsNotConnectedTo(String address) throws IOException {
    try (NameServer names = new NameServer(address);
        HttpsTokenEndpoint resolving =
            endpoint("", List.of(new InetSocketAddress("127.0.0.1", names.port())), 7400)) {
      OAuth client =
          new OAuth(
              client()
                  .setTokenUrl("https://login.example.com:%d/".formatted(server.port()))
                  .build());
      assertThatThrownBy(() -> resolving.connect(client, PATIENCE))
          .isInstanceOf(TokenException.class)
          .hasMessageContaining(address + " is not a public address");
    }
    assertThat(server.requests).isEmpty();
  }

  @Test
  void noPinOpensThePortsOfTheMesh() {
    try (HttpsTokenEndpoint meshes = endpoint(PINS, List.of(), server.port())) {
      OAuth client = new OAuth(client().build());
      assertThatThrownBy(() -> meshes.connect(client, PATIENCE))
          .isInstanceOf(TokenException.class)
          .hasMessageContaining("is the mesh's");
    }
    assertThat(server.requests).isEmpty();
  }

  private static boolean await(CountDownLatch latch) {
    try {
      return latch.await(PATIENCE.toSeconds(), java.util.concurrent.TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
