package dev.cofferdam.node.oci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RegistryClientTest {
  private static final String TENANT = "acme";
  private static final String USER = "Basic " + base64("puller:the-password");
  private static final Duration LONG = Duration.ofSeconds(60);

  @TempDir Path directory;
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final List<Server> servers = new ArrayList<>();
  private final List<RegistryClient> clients = new ArrayList<>();
  private final CountDownLatch ended = new CountDownLatch(1);
  private Server registry;
  private Server other;
  private Path layout;
  private RegistryCredentials credentials = RegistryCredentials.NONE;

  @BeforeEach
  void open() throws IOException {
    layout =
        new TestImage()
            .layer(new TestLayer().file("data", "x".repeat(5000)))
            .layout(directory.resolve("layout"));
    registry = new Server();
    other = new Server();
  }

  @AfterEach
  void close() {
    ended.countDown();
    clients.forEach(RegistryClient::close);
    servers.forEach(server -> server.http.stop(0));
    executor.shutdownNow();
  }

  @Test
  void anImageIsReadByTagAndByDigest() throws IOException {
    for (String image : List.of("app:one", "app@" + manifest(), "app", "app:one@" + manifest())) {
      try (OciImage pulled = client(registry).open(registry.name() + "/" + image, TENANT);
          OciImage local = OciImage.open(layout)) {
        assertThat(pulled.digest()).isEqualTo(local.digest());
        assertThat(pulled.config()).isEqualTo(local.config());
        Path root = directory.resolve("root-" + image.hashCode());
        new RootMaker(ImageLimits.DEFAULT)
            .make(pulled, Files.createDirectory(directory.resolve("w" + image.hashCode())), root);
        assertThat(root).isNotEmptyFile();
      }
    }
    // Its layers only once they are wanted.
    registry.asked.clear();
    client(registry).open(registry.name() + "/app:one", TENANT).close();
    assertThat(registry.asked).hasSize(2);
  }

  @Test
  void whoIsNotAllowedIsNotAsked() {
    for (String image :
        List.of(
            other.name() + "/app",
            "localhost:" + other.port() + "/app",
            "169.254.169.254/latest",
            "127.1:" + registry.port() + "/app",
            "app",
            "library/app",
            registry.name() + "@" + other.name() + "/app",
            registry.name() + "/../../app",
            registry.name() + "/app?x=y",
            registry.name() + "/app:one\r\nHost: elsewhere",
            "http://" + registry.name() + "/app")) {
      assertThatThrownBy(() -> client(registry).open(image, TENANT))
          .as(image)
          .isInstanceOf(ImageException.class);
    }
    assertThat(registry.asked).isEmpty();
    assertThat(other.asked).isEmpty();
  }

  @Test
  void aRedirectLeadsNowhereElse() throws IOException {
    for (String to :
        List.of(
            other.url() + "/v2/app/manifests/one",
            "http://localhost:" + registry.port() + "/v2/app/manifests/one",
            "https://" + registry.name() + "/v2/app/manifests/one",
            "http://" + registry.name() + "@" + other.name() + "/",
            "//" + other.name() + "/",
            "file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data",
            ":",
            "")) {
      registry.redirect = to;
      assertThatThrownBy(() -> client(registry).open(registry.name() + "/app:one", TENANT))
          .as(to)
          .isInstanceOf(ImageException.class);
    }
    assertThat(other.asked).isEmpty();

    // Where the operator says so it does, and the token stays behind.
    registry.token = "secret-token";
    registry.redirect = other.url() + "/v2/app/manifests/one";
    try (OciImage pulled = client(registry, other).open(registry.name() + "/app:one", TENANT)) {
      assertThat(pulled.layers()).hasSize(1);
    }
    assertThat(other.asked).isNotEmpty().noneMatch(asked -> asked.contains("secret-token"));
    assertThat(registry.asked).anyMatch(asked -> asked.contains("Bearer secret-token"));
  }

  @Test
  void aTokenIsAskedForAndOnlyOfWhoIsAllowed() throws IOException {
    registry.token = "abc";
    try (OciImage pulled = client(registry).open(registry.name() + "/app:one", TENANT)) {
      assertThat(pulled.layers()).hasSize(1);
    }
    assertThat(registry.asked)
        .anyMatch(asked -> asked.startsWith("/token?service=it&scope=repository%3Aapp%3Apull"));

    registry.realm = other.url() + "/token";
    assertThatThrownBy(() -> client(registry).open(registry.name() + "/app:one", TENANT))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("not one of those allowed");
    assertThat(other.asked).isEmpty();
    registry.realm = "http://169.254.169.254/?x=";
    assertThatThrownBy(() -> client(registry).open(registry.name() + "/app:one", TENANT))
        .isInstanceOf(ImageException.class);
  }

  @Test
  void theOperatorsCredentialsLetTheTenantsInThatTheyAreFor() throws IOException {
    registry.basic = USER;
    refusedWithout("and this node has none for app and this tenant");
    credentials = credentials(entry(registry.name(), "\"globex\""));
    refusedWithout("and this node has none for app and this tenant");
    credentials = credentials(entry(registry.name() + "/other", "\"*\""));
    refusedWithout("and this node has none for app and this tenant");
    credentials = credentials(entry(other.name(), "\"*\""));
    refusedWithout("and this node has none for app and this tenant");
    assertThat(registry.asked).noneMatch(asked -> asked.contains("Basic"));
    for (String fits :
        List.of(
            entry(registry.name(), "\"*\""),
            entry(registry.name(), "\"globex\", \"acme\""),
            entry(registry.name() + "/app", "\"acme\""))) {
      credentials = credentials(fits);
      pulled();
    }
    // The entry for the part counts for the part.
    credentials =
        credentials(entry(registry.name(), "\"*\""), entry(registry.name() + "/app", "\"globex\""));
    refusedWithout("none for app");
    registry.basic = "Basic " + base64("puller:another");
    credentials = credentials(entry(registry.name(), "\"*\""));
    refusedWithout("does not let this node read app");
  }

  @Test
  void aTokenIsAskedForWithTheCredentials() throws IOException {
    registry.token = "abc";
    registry.basic = USER;
    credentials = credentials(entry(registry.name(), "\"acme\""));
    pulled();
    assertThat(registry.asked)
        .anyMatch(asked -> asked.startsWith("/token") && asked.contains(USER))
        .noneMatch(asked -> asked.startsWith("/v2") && asked.contains("Basic"));
    credentials = RegistryCredentials.NONE;
    assertThatThrownBy(this::pulled)
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("answers 401");
  }

  @Test
  void whomARegistrySendsItsCallersToDoesNotGetItsCredentials() throws IOException {
    registry.basic = USER;
    credentials = credentials(entry(registry.name(), "\"*\""));
    registry.redirect = other.url() + "/v2/app/manifests/one";
    try (OciImage pulled = client(registry, other).open(registry.name() + "/app:one", TENANT)) {
      assertThat(pulled.layers()).hasSize(1);
    }
    assertThat(other.asked).isNotEmpty().noneMatch(asked -> asked.contains("Basic"));
    // Nor does it get them for asking.
    other.basic = USER;
    assertThatThrownBy(() -> client(registry, other).open(registry.name() + "/app:one", TENANT))
        .isInstanceOf(ImageException.class);
    other.basic = "";
    other.token = "abc";
    assertThatThrownBy(() -> client(registry, other).open(registry.name() + "/app:one", TENANT))
        .isInstanceOf(ImageException.class);
    assertThat(other.asked).noneMatch(asked -> asked.contains("Basic"));

    Registry safe = Registry.parse("registry.example");
    assertThat(safe.isAsSafe(URI.create("https://auth.example/token"))).isTrue();
    assertThat(safe.isAsSafe(URI.create("http://auth.example/token"))).isFalse();
  }

  @Test
  void aFileOfCredentialsThatIsWrongIsToldOfWithoutThem() throws IOException {
    String secret = base64("puller:the-password");
    for (String bad :
        List.of(
            "{",
            "{\"auths\": {\"a.example\": {\"auth\": \"" + secret + "\" oops}}}",
            "[]",
            "{\"auths\": []}",
            "{\"auths\": {\"a.example\": {\"auth\": \"" + secret + "\"}}}",
            "{\"auths\": {" + entry("a.example", "\"\"") + "}}",
            "{\"auths\": {" + entry("https://a.example", "\"*\"") + "}}",
            "{\"auths\": {" + entry("a.example/", "\"*\"") + "}}",
            "{\"auths\": {\"a.example\": {\"auth\": \"%\", \"tenants\": [\"*\"]}}}",
            "{\"auths\": {\"a.example\": {\"auth\": \""
                + base64("the-password")
                + "\", \"tenants\": [\"*\"]}}}",
            "{\"auths\": {\"a.example\": {\"auth\": \""
                + base64("a:b\r\nHost: c")
                + "\", \"tenants\": [\"*\"]}}}")) {
      assertThatThrownBy(() -> RegistryCredentials.read(file(bad)))
          .as(bad)
          .isInstanceOf(IOException.class)
          .hasMessageContaining("credentials")
          .message()
          .doesNotContain(secret, "the-password", base64("the-password"));
    }
    Path open = file("{\"auths\": {}}");
    Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rw-r-----"));
    assertThatThrownBy(() -> RegistryCredentials.read(open))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("others than its owner");
    assertThatThrownBy(() -> RegistryCredentials.read(directory.resolve("none")))
        .isInstanceOf(IOException.class);
  }

  private void pulled() throws IOException {
    try (OciImage pulled = client(registry).open(registry.name() + "/app:one", TENANT)) {
      assertThat(pulled.layers()).hasSize(1);
      pulled.blobs().open(pulled.layers().getFirst().name()).close();
    }
  }

  private void refusedWithout(String why) {
    assertThatThrownBy(this::pulled)
        .isInstanceOf(ImageException.class)
        .hasMessageContaining(why)
        .message()
        .doesNotContain(USER);
  }

  private RegistryCredentials credentials(String... entries) throws IOException {
    return RegistryCredentials.read(file("{\"auths\": {" + String.join(", ", entries) + "}}"));
  }

  private Path file(String content) throws IOException {
    Path file = Files.writeString(directory.resolve("credentials.json"), content);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    return file;
  }

  private static String entry(String key, String tenants) {
    return "\"%s\": {\"auth\": \"%s\", \"tenants\": [%s]}"
        .formatted(key, base64("puller:the-password"), tenants);
  }

  private static String base64(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void whatIsNotThereOrNotWhatItsDigestSaysIsRefused() throws IOException {
    assertThatThrownBy(() -> client(registry).open(registry.name() + "/app:two", TENANT))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("404");
    registry.tamper = true;
    assertThatThrownBy(() -> client(registry).open(registry.name() + "/app@" + manifest(), TENANT))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("digest");
  }

  @Test
  void whatIsTooLargeOrTooSlowIsCutOff() throws IOException {
    registry.endless = true;
    assertThatThrownBy(() -> client(registry).open(registry.name() + "/app:one", TENANT))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("more than");
    registry.endless = false;
    registry.silent = true;
    assertThatThrownBy(() ->
            keep(new RegistryClient(
                    List.of(registry.allowed()),
                    () -> RegistryCredentials.NONE,
                    1 << 20,
                    Duration.ofMillis(200),
                    executor))
                .open(registry.name() + "/app:one", TENANT))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("too long");
    registry.silent = false;
    registry.redirect = registry.url() + "/v2/app/manifests/one";
    assertThatThrownBy(() -> client(registry).open(registry.name() + "/app:one", TENANT))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("times");
  }

  @Test
  void aRegistryIsWhatTheOperatorWrote() {
    assertThat(Registry.parse("Registry.Example"))
        .isEqualTo(new Registry(true, "registry.example", 443));
    assertThat(Registry.parse("http://127.0.0.1:5000"))
        .isEqualTo(new Registry(false, "127.0.0.1", 5000));
    for (String bad : List.of("", "a/b", "ftp://a", "a:0", "a:65536", "a:b", "u@a", "*.a")) {
      assertThatThrownBy(() -> Registry.parse(bad))
          .as(bad)
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  private RegistryClient client(Server... allowed) {
    List<Registry> registries = new ArrayList<>();
    for (Server server : allowed) {
      registries.add(server.allowed());
    }
    return keep(new RegistryClient(registries, () -> credentials, 1 << 20, LONG, executor));
  }

  private RegistryClient keep(RegistryClient client) {
    clients.add(client);
    return client;
  }

  private String manifest() throws IOException {
    return OciImage.parse(Files.readAllBytes(layout.resolve("index.json")), "index")
        .path("manifests")
        .path(0)
        .path("digest")
        .asText();
  }

  /** What a registry may be, or pretend to be. */
  private final class Server {
    private final HttpServer http;
    private final List<String> asked = new CopyOnWriteArrayList<>();
    private volatile String redirect = "none";
    private volatile String token = "";
    private volatile String realm;

    /** What it lets nobody in without; empty: everybody. */
    private volatile String basic = "";

    private volatile boolean tamper;
    private volatile boolean endless;
    private volatile boolean silent;

    Server() throws IOException {
      http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      http.setExecutor(executor);
      http.createContext("/", this::answer);
      http.start();
      realm = url() + "/token";
      servers.add(this);
    }

    int port() {
      return http.getAddress().getPort();
    }

    String name() {
      return "127.0.0.1:" + port();
    }

    String url() {
      return "http://" + name();
    }

    Registry allowed() {
      return Registry.parse(url());
    }

    private void answer(HttpExchange exchange) throws IOException {
      String path = exchange.getRequestURI().toString();
      String bearer = String.valueOf(exchange.getRequestHeaders().getFirst("Authorization"));
      asked.add(path + " " + bearer);
      try (exchange) {
        if (!basic.isEmpty()
            && !bearer.equals(basic)
            && (token.isEmpty() || path.startsWith("/token"))) {
          exchange.getResponseHeaders().set("WWW-Authenticate", "Basic realm=\"it\"");
          exchange.sendResponseHeaders(401, -1);
        } else if (path.startsWith("/token")) {
          send(exchange, ("{\"token\":\"" + token + "\"}").getBytes(StandardCharsets.UTF_8));
        } else if (!token.isEmpty() && !bearer.equals("Bearer " + token)) {
          exchange
              .getResponseHeaders()
              .set("WWW-Authenticate", "Bearer realm=\"" + realm + "\",service=\"it\"");
          exchange.sendResponseHeaders(401, -1);
        } else if (!redirect.equals("none") && path.contains("/manifests/")) {
          exchange.getResponseHeaders().set("Location", redirect);
          exchange.sendResponseHeaders(307, -1);
        } else if (endless) {
          exchange.sendResponseHeaders(200, 0);
          byte[] some = new byte[1 << 16];
          while (true) {
            exchange.getResponseBody().write(some);
          }
        } else if (silent) {
          exchange.sendResponseHeaders(200, 0);
          exchange.getResponseBody().flush();
          ended.await();
        } else {
          content(exchange, path);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    private void content(HttpExchange exchange, String path) throws IOException {
      String reference = path.substring(path.lastIndexOf('/') + 1);
      if (reference.equals("one") || reference.equals("latest")) {
        reference = manifest();
      }
      Path blob = layout.resolve("blobs/sha256").resolve(reference.replace("sha256:", ""));
      if (!path.startsWith("/v2/app/") || !Files.exists(blob)) {
        exchange.sendResponseHeaders(404, -1);
        return;
      }
      byte[] bytes = Files.readAllBytes(blob);
      if (tamper) {
        bytes[bytes.length - 1] ^= 1;
      }
      send(exchange, bytes);
    }

    private static void send(HttpExchange exchange, byte[] bytes) throws IOException {
      exchange.sendResponseHeaders(200, bytes.length);
      exchange.getResponseBody().write(bytes);
    }
  }
}
