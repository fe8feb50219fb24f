package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.HostPattern;
import dev.cofferdam.gateway.proxy.UpstreamProxy;
import dev.cofferdam.kit.upstream.Cidr;
import dev.cofferdam.testkit.ClosedPort;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import javax.net.ServerSocketFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A gateway whose operator has upstreams reached through a proxy. */
@SuppressWarnings("try") // closing the parts may throw anything
final class UpstreamProxyTest {
  private static final Optional<String> CREDENTIALS = Optional.of("Basic dXNlcjpwYXNz");

  @TempDir private Path directory;
  private final List<AutoCloseable> parts = new ArrayList<>();

  @AfterEach
  void stop() throws Exception {
    for (AutoCloseable part : parts.reversed()) {
      part.close();
    }
  }

  private <T extends AutoCloseable> T own(T part) {
    parts.add(part);
    return part;
  }

  private ConnectProxy proxy() throws IOException {
    return own(new ConnectProxy(ServerSocketFactory.getDefault()));
  }

  private Harness behind(UpstreamProxy proxy) throws Exception {
    return behind(proxy, new TestPki("public"));
  }

  private Harness behind(UpstreamProxy proxy, TestPki authority) throws Exception {
    return own(
        new Harness(
            directory,
            false,
            limits ->
                new dev.cofferdam.gateway.proxy.Limits(
                    limits.headerBytes(),
                    limits.bodyScanBytes(),
                    limits.connectionsPerSandbox(),
                    limits.materialisationsPerSandbox(),
                    limits.headerTimeout(),
                    limits.idleTimeout(),
                    Duration.ofSeconds(2),
                    limits.answerTimeout()),
            new InetSocketAddress("127.0.0.1", 9),
            authority,
            Optional.of(proxy)));
  }

  private static UpstreamProxy settings(ConnectProxy proxy, boolean byName, String... direct) {
    return settings(proxy.port(), byName, direct);
  }

  private static UpstreamProxy settings(int port, boolean byName, String... direct) {
    return new UpstreamProxy(
        false,
        Host.parse("proxy.example.test").orElseThrow(),
        port,
        CREDENTIALS,
        byName,
        List.of(direct).stream().map(HostPattern::parse).toList(),
        List.of());
  }

  private static Answer get(Harness harness, String host) throws Exception {
    try (RawGuest guest = harness.guest().tls(host)) {
      return guest
          .send(
              "GET /echo HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n"
                  .formatted(host, Harness.PLACEHOLDER))
          .answer();
    }
  }

  @Test
  void theProxyIsAskedForThePermittedAddressAndSeesNoValue() throws Exception {
    ConnectProxy proxy = proxy();
    Harness harness = behind(settings(proxy, false));

    assertThat(get(harness, "api.example.test").status()).isEqualTo(200);

    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    assertThat(proxy.asked.getFirst())
        .isEqualTo(
            "CONNECT 127.0.0.2:%d HTTP/1.1\r\nHost: 127.0.0.2:%d\r\nProxy-Authorization: %s\r\n\r\n"
                .formatted(harness.port, harness.port, CREDENTIALS.orElseThrow()));
    // The name is all that it learns, from SNI.
    assertThat(proxy.relayed())
        .contains("api.example.test")
        .doesNotContain(Harness.VALUE, Harness.PLACEHOLDER, "/echo");
    assertThat(harness.upstream.received.getFirst().headers())
        .doesNotContainKey("Proxy-Authorization");
  }

  /** The gateway's resolver is dead, so that only the proxy can resolve. */
  @Test
  void whereItIsAskedForNamesItResolvesThem() throws Exception {
    ConnectProxy proxy = proxy();
    Harness harness = behind(settings(proxy, true));
    harness.policy(
        Harness.rule("unpinned.example.test", harness.port),
        Harness.rule("api.example.test", harness.port));

    try (RawGuest guest = harness.guest().tls("unpinned.example.test")) {
      guest.send("GET /echo HTTP/1.1\r\nHost: unpinned.example.test\r\n\r\n");
      assertThat(guest.answer().status()).isEqualTo(200);
    }
    assertThat(proxy.asked.getFirst())
        .startsWith("CONNECT unpinned.example.test:" + harness.port + " HTTP/1.1\r\n");

    // A pinned name leads where the operator pinned it.
    assertThat(get(harness, "api.example.test").status()).isEqualTo(200);
    assertThat(proxy.asked.getLast()).startsWith("CONNECT 127.0.0.2:");
  }

  @Test
  void whatIsNamedAsDirectIsReachedWithoutIt() throws Exception {
    ConnectProxy proxy = proxy();
    Harness harness = behind(settings(proxy, true, "*.example.test"));

    assertThat(get(harness, "api.example.test").status()).isEqualTo(200);
    assertThat(proxy.asked).isEmpty();
  }

  @Test
  void soIsAnAddressInADirectRange() throws Exception {
    ConnectProxy proxy = proxy();
    Harness harness =
        behind(
            new UpstreamProxy(
                false,
                Host.parse("127.0.0.2").orElseThrow(),
                proxy.port(),
                Optional.empty(),
                false,
                List.of(),
                List.of(Cidr.parse("127.0.0.0/30"))));

    assertThat(get(harness, "api.example.test").status()).isEqualTo(200);
    assertThat(proxy.asked).isEmpty();
  }

  @AttackRow(25)
  @Test
  void anAddressThatIsNotPermittedIsNeverAskedFor() throws Exception {
    ConnectProxy proxy = proxy();
    Harness harness = behind(settings(proxy, false));
    harness.policy(Harness.rule("mesh.example.test", 7410));
    int listener = harness.listen("127.0.0.1", 7410);

    try (RawGuest guest =
        new RawGuest(Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage)) {
      Answer answer =
          guest
              .tls("mesh.example.test")
              .send("GET / HTTP/1.1\r\nHost: mesh.example.test\r\n\r\n")
              .answer();
      assertThat(answer.reason()).isEqualTo("private_address");
    }
    assertThat(proxy.asked).isEmpty();
  }

  record Said(String name, String text, boolean hangsUp, EgressReason reason) {
    @Override
    public String toString() {
      return name;
    }
  }

  static List<Said> said() {
    EgressReason proxy = EgressReason.EGRESS_REASON_UPSTREAM_PROXY;
    return List.of(
        new Said(
            "wrong credentials",
            "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
            false,
            proxy),
        new Said("forbidden", "HTTP/1.1 403 Forbidden\r\n\r\n", false, proxy),
        new Said("a redirect", "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", false, proxy),
        new Said("bytes before", "hello\r\nHTTP/1.1 200 OK\r\n\r\n", false, proxy),
        new Said("an empty line before", "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false, proxy),
        new Said("another version", "HTTP/2.0 200 OK\r\n\r\n", false, proxy),
        new Said("another length", "HTTP/1.1 2000 OK\r\n\r\n", false, proxy),
        new Said(
            "a head without end", "HTTP/1.1 200 OK\r\n" + "X: y\r\n".repeat(4096), false, proxy),
        new Said("a line without end", "HTTP/1.1 200 " + "x".repeat(20_000), false, proxy),
        new Said("nothing, and hangs up", "", true, proxy),
        new Said("half a head, and hangs up", "HTTP/1.1 200 OK\r\n", true, proxy),
        new Said("an interim answer alone", "HTTP/1.1 100 Continue\r\n\r\n", true, proxy),
        new Said("nothing", "", false, EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT),
        new Said(
            "half a head",
            "HTTP/1.1 200 OK\r\n",
            false,
            EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT),
        // From here on it is the upstream's TLS that is not there.
        new Said(
            "another page",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
            true,
            EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE),
        new Said(
            "an answer to no request",
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            false,
            EgressReason.EGRESS_REASON_UPSTREAM_UNREACHABLE));
  }

  @ParameterizedTest
  @MethodSource("said")
  void aProxyThatDoesNotDoAsAskedFailsTheRequest(Said said) throws Exception {
    ConnectProxy proxy = proxy();
    proxy.instead = Optional.of(said.text());
    proxy.hangsUp = said.hangsUp();
    Harness harness = behind(settings(proxy, false));

    Answer answer = get(harness, "api.example.test");

    assertThat(answer.status())
        .isEqualTo(said.reason() == EgressReason.EGRESS_REASON_UPSTREAM_TIMEOUT ? 504 : 502);
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/echo"));
    assertThat(event.getReason()).isEqualTo(said.reason());
    assertThat(harness.broker.materialised).isEmpty();
    assertThat(proxy.asked).isNotEmpty();
    assertThat(harness.upstream.connections).hasValue(0);
  }

  @Test
  void aProxyThatIsAwayFailsTheRequestAndNothingGoesAroundIt() throws Exception {
    ClosedPort away = own(ClosedPort.at("127.0.0.2"));
    Harness harness = behind(settings(away.port(), false));

    assertThat(get(harness, "api.example.test").reason()).isEqualTo("upstream_proxy");
    assertThat(harness.upstream.connections).hasValue(0);
  }

  private ConnectProxy overTls(TestPki authority) throws Exception {
    KeyPair key = TestPki.newKey();
    return own(
        new ConnectProxy(
            TestPki.server(
                    key, authority.leaf(key.getPublic(), Duration.ofHours(1), "proxy.example.test"))
                .getServerSocketFactory()));
  }

  private static UpstreamProxy overTls(ConnectProxy proxy, String name) {
    return new UpstreamProxy(
        true,
        Host.parse(name).orElseThrow(),
        proxy.port(),
        CREDENTIALS,
        false,
        List.of(),
        List.of());
  }

  @Test
  void aTunnelInsideTheProxysTls() throws Exception {
    TestPki authority = new TestPki("public");
    ConnectProxy proxy = overTls(authority);
    Harness harness = behind(overTls(proxy, "proxy.example.test"), authority);

    assertThat(get(harness, "api.example.test").status()).isEqualTo(200);
    assertThat(proxy.asked.getFirst()).contains(CREDENTIALS.orElseThrow());
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
  }

  /** By its chain and by its name; the credentials are not sent to another. */
  @AttackRow(40)
  @Test
  void aProxyInTlsIsVerifiedAsAnUpstreamIs() throws Exception {
    ConnectProxy foreign = overTls(new TestPki("foreign"));
    assertThat(get(behind(overTls(foreign, "proxy.example.test")), "api.example.test").reason())
        .isEqualTo("upstream_proxy");
    assertThat(foreign.asked).isEmpty();

    TestPki authority = new TestPki("public");
    ConnectProxy misnamed = overTls(authority);
    assertThat(get(behind(overTls(misnamed, "127.0.0.2"), authority), "api.example.test").reason())
        .isEqualTo("upstream_proxy");
    assertThat(misnamed.asked).isEmpty();
  }

  /** Its first words may come in one piece with the proxy's answer. */
  @Test
  void aServerThatSpeaksFirstIsHeardThroughIt() throws Exception {
    ConnectProxy proxy = proxy();
    proxy.serverFirst = true;
    Harness harness = behind(settings(proxy, false));
    try (ServerSocket server = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.2"))) {
      harness.policy(
          Harness.rule("api.example.test", server.getLocalPort()).toBuilder()
              .setPassthrough(true)
              .build());
      harness.asked.set(
          harness
              .slots
              .at(InetAddress.getByName(Harness.SLOT))
              .orElseThrow()
              .names()
              .addressOf((Host.Name) Host.parse("api.example.test").orElseThrow())
              .orElseThrow());
      int listener = harness.listen("127.0.0.1", server.getLocalPort());
      try (RawGuest guest =
              new RawGuest(
                  Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage);
          Socket accepted = server.accept()) {
        accepted.getOutputStream().write("SSH-2.0-x\n".getBytes(StandardCharsets.US_ASCII));
        assertThat(guest.until("\n")).isEqualTo("SSH-2.0-x\n");
        guest.send("hello\n");
        assertThat(accepted.getInputStream().readNBytes(6))
            .isEqualTo("hello\n".getBytes(StandardCharsets.US_ASCII));
      }
    }
  }
}
