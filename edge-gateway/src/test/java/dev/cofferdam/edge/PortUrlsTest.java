package dev.cofferdam.edge;

import static org.assertj.core.api.Assertions.assertThat;

import com.linecorp.armeria.client.ClientFactory;
import com.linecorp.armeria.client.WebClient;
import com.linecorp.armeria.common.AggregatedHttpResponse;
import com.linecorp.armeria.common.HttpData;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.RequestHeaders;
import dev.cofferdam.testkit.TestCertificates;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** URLs of ports, over sockets on both sides, with a mesh that is made up in between. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class PortUrlsTest {
  private static final String SANDBOX = "sb-abcdefghij234567abcd";
  private static final String AUTHORIZED = "Authorization: Bearer " + FakeMesh.TOKEN + "\r\n";
  private static final String OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  private static final long PATIENCE_SECONDS = 60;

  /** How long a socket takes nothing before it counts as held back. */
  private static final long HELD_MS = 2000;

  private final FakeMesh mesh = new FakeMesh();
  private final List<AutoCloseable> parts = new ArrayList<>();
  private final EdgeApp shared;
  private final List<EdgeApp> others = new ArrayList<>();

  /** The one that the test is about. */
  private EdgeApp app;

  PortUrlsTest() throws Exception {
    shared = TestEdge.start(mesh, Map.of());
    app = shared;
  }

  /** For one test. */
  private void with(Map<String, String> settings) throws Exception {
    app = TestEdge.start(mesh, settings);
    others.add(app);
  }

  @AfterEach
  void closeParts() throws Exception {
    for (AutoCloseable part : parts) {
      part.close();
    }
    parts.clear();
    mesh.ports.opened.clear();
    mesh.ports.awake.countDown();
    app = shared;
  }

  /** A server takes two seconds to close: they do it together. */
  @AfterAll
  void close() throws Exception {
    others.add(shared);
    List<Thread> closing =
        others.stream().map(other -> Thread.ofVirtual().start(other::close)).toList();
    for (Thread thread : closing) {
      thread.join();
    }
    mesh.close();
  }

  private GuestServer guest(GuestServer.Program program) throws IOException {
    GuestServer guest = new GuestServer(program);
    parts.add(guest);
    return guest;
  }

  private GuestServer saying(String answer) throws IOException {
    return guest(connection -> connection.say(answer));
  }

  private RawClient client() throws IOException {
    RawClient client = new RawClient(app.portsPort());
    parts.add(client);
    return client;
  }

  private static String host(GuestServer guest) {
    return guest.port() + "-" + SANDBOX + ".localhost";
  }

  private static String lines(String... lines) {
    return String.join("\r\n", lines) + "\r\n";
  }

  private static String get(GuestServer guest, String more) {
    return "GET / HTTP/1.1\r\nHost: " + host(guest) + "\r\n" + more + "\r\n";
  }

  @Test
  void thePortIsToldWhatWasAskedAndByWhom() throws Exception {
    GuestServer guest = saying(OK);
    RawClient.Answer answer =
        client()
            .send(
                "GET /a//b/%2e?x=%20y&z HTTP/1.1\r\nHost: "
                    + host(guest)
                    + ":7482\r\nAccept: text/html\r\nX-Mine: kept\r\nX-Hop: gone\r\n"
                    + "Connection: keep-alive, x-hop\r\nTE: trailers\r\nKeep-Alive: 5\r\n"
                    + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\nProxy-Connection: close\r\n"
                    + "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n"
                    + "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Port: 6\r\n"
                    + AUTHORIZED
                    + "\r\n")
            .answer();
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo("ok");
    assertThat(guest.nextHead())
        .isEqualTo(
            "GET /a//b/%2e?x=%20y&z HTTP/1.1\r\nHost: "
                + host(guest)
                + ":7482\r\nAccept: text/html\r\nX-Mine: kept\r\nX-Forwarded-For: 127.0.0.1\r\n"
                + "X-Forwarded-Proto: http\r\nX-Forwarded-Host: "
                + host(guest)
                + ":7482\r\nConnection: close\r\n\r\n");
    assertThat(mesh.ports.opened.getFirst().getSandbox()).isEqualTo(SANDBOX);
  }

  @Test
  void theClientIsToldWhatThePortSaidAndNothingOfTheConnection() throws Exception {
    GuestServer guest =
        saying(
            lines(
                "HTTP/1.1 203 Whatever",
                "Content-Length: 0",
                "Connection: x-hop",
                "X-Hop: 1",
                "Keep-Alive: 1",
                "Alt-Svc: h3=\":1\"",
                "Cofferdam-Error: FORGED",
                "Set-Cookie: a=b; Path=/; Domain=localhost; HttpOnly",
                "Set-Cookie: c=d;domain=.localhost",
                "X-Mine: kept",
                ""));
    String head = client().send(get(guest, AUTHORIZED)).answer().head();
    assertThat(head)
        .isEqualTo(
            lines(
                "http/1.1 203 non-authoritative information",
                "set-cookie: a=b; path=/; httponly",
                "set-cookie: c=d",
                "x-mine: kept",
                "content-length: 0",
                ""));
  }

  @Test
  void nobodyIsLetInWithoutATokenThatTheMeshTakes() throws Exception {
    GuestServer guest = saying(OK);
    for (String credential :
        List.of(
            "",
            "Authorization: Basic " + FakeMesh.TOKEN + "\r\n",
            "Authorization: Bearer\r\n",
            "Authorization: Bearer cfd_wrong\r\n",
            AUTHORIZED + "Authorization: Bearer cfd_second\r\n",
            "Proxy-Authorization: Basic x\r\n" + AUTHORIZED)) {
      RawClient.Answer answer = client().send(get(guest, credential)).answer();
      assertThat(answer.status()).as(credential).isEqualTo(401);
      assertThat(answer.head()).contains("www-authenticate: bearer", "cofferdam-error: ");
    }
    RawClient.Answer stranger =
        client().send(get(guest, "Authorization: Bearer " + FakeMesh.STRANGER + "\r\n")).answer();
    assertThat(stranger.status()).isEqualTo(404);
    assertThat(guest.heads).isEmpty();
  }

  @Test
  void theSdksTokenIsTakenToo() throws Exception {
    GuestServer guest = saying(OK);
    RawClient.Answer answer =
        client().send(get(guest, "Authorization: Bearer " + Sdk.BOTH + "\r\n")).answer();
    assertThat(answer.status()).isEqualTo(200);
    assertThat(guest.nextHead()).doesNotContainIgnoringCase("authorization");
    assertThat(String.join("\n", mesh.tokens)).doesNotContain(FakeMesh.SECRETS_TOKEN);
  }

  @Test
  void whoSpeaksToTheEdgeByProxyAuthorizationKeepsAuthorizationForThePort() throws Exception {
    GuestServer guest = saying(OK);
    String ours = "Proxy-" + AUTHORIZED;
    client().send(get(guest, ours + "Authorization: Bearer of-the-program\r\n")).answer();
    assertThat(guest.nextHead())
        .contains("Authorization: Bearer of-the-program\r\n")
        .doesNotContain(FakeMesh.TOKEN);
    client().send(get(guest, ours + "Authorization: Bearer " + FakeMesh.TOKEN + "x\r\n")).answer();
    assertThat(guest.nextHead()).as("a token of ours").doesNotContainIgnoringCase("authorization");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Host: evil.example\r\n|421",
        "Host: localhost\r\n|421",
        "Host: 127.0.0.1\r\n|421",
        "Host: 8080-sb-abcdefghij234567abcd.localhost.evil.example\r\n|421",
        "Host: x.8080-sb-abcdefghij234567abcd.localhost\r\n|421",
        "Host: 8080-sb-abcdefghij234567abcd.localhost.\r\n|421",
        "Host: 08080-sb-abcdefghij234567abcd.localhost\r\n|421",
        "Host: 0-sb-abcdefghij234567abcd.localhost\r\n|421",
        "Host: 65536-sb-abcdefghij234567abcd.localhost\r\n|421",
        "Host: 8080-sb-abcdefghij234567abc.localhost\r\n|421",
        "Host: aaaaaaaaaaaa-abcdefghij234567abc.localhost\r\n|421",
        "Host: aaaaaaaaaaaaa-abcdefghij234567abcd.localhost\r\n|421",
        "Host: 8080-sb-abcdefghij234567abc1.localhost\r\n|421",
        "Host: 8080-sb-abcdefghij234567abcd.evillocalhost\r\n|421",
        "Host: user@8080-sb-abcdefghij234567abcd.localhost\r\n|400",
        "Host: 8080-sb-abcdefghij234567abcd.localhost:1:2\r\n|400",
        "Host: 8080-sb-abcdefghij234567abcd.localhost/x\r\n|400",
        "Host: 8080-sb-abcdefghij234567abcd.localhost, x\r\n|400",
        "Host: \r\n|400",
        "|400",
        "Host: 8080-sb-abcdefghij234567abcd.localhost\r\nHost: \r\n|400",
        "Host: 8080-sb-abcdefghij234567abcd.localhost\r\nhost: x\r\n|400",
      })
  void aHostThatIsNoneOfOurs(String hostAndStatus) throws Exception {
    String host = hostAndStatus.substring(0, hostAndStatus.indexOf('|'));
    RawClient.Answer answer =
        client().send("GET / HTTP/1.1\r\n" + host + AUTHORIZED + "\r\n").answer();
    assertThat(answer.status())
        .isEqualTo(Integer.parseInt(hostAndStatus.substring(hostAndStatus.indexOf('|') + 1)));
    assertThat(mesh.ports.opened).isEmpty();
  }

  /** {@code @} stands for a right Host and token. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "POST / HTTP/1.1\r\n@Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n@Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n@Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\n@Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST / HTTP/1.1\r\n@Content-Length: 5, 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\n@Content-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\n@Content-Length: 0x5\r\n\r\nhello",
        "POST / HTTP/1.1\r\n@Content-Length: 99999999999999999999\r\n\r\nhello",
        "POST / HTTP/1.1\r\n@Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n@Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n@Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n@Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n@Transfer-Encoding:\u000bchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\n@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n@X-A: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n@X-A: b\r\n\tfolded\r\n\r\n",
        "GET / HTTP/1.1\n@\r\n\r\n",
        "GET / HTTP/1.1\r\n@X-A: b\nX-C: d\r\n\r\n",
        "GET / HTTP/1.1\r\n@X-A: b\rX-C: d\r\n\r\n",
        "GET / HTTP/1.1\r\n@X-A: b\u0000c\r\n\r\n",
        "GET / HTTP/1.1\r\n@X-A : b\r\n\r\n",
        "GET / HTTP/1.1\r\n@: b\r\n\r\n",
        "GET  / HTTP/1.1\r\n@\r\n",
        "GET / HTTP/1.1 \r\n@\r\n",
        "GET / HTTP/2.0\r\n@\r\n",
        "GET /a b HTTP/1.1\r\n@\r\n",
        "GET /#x HTTP/1.1\r\n@\r\n",
        "GET http://8080-sb-abcdefghij234567abcd.localhost/ HTTP/1.1\r\n@\r\n",
        "GET example HTTP/1.1\r\n@\r\n",
        "GET / HTTP/1.1\r\n@Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
      })
  void aRequestWithTwoReadingsHasNone(String request) throws Exception {
    GuestServer guest = saying(OK);
    RawClient client =
        client()
            .send(
                request.replace("@", "Host: " + host(guest) + "\r\n" + AUTHORIZED)
                    + "GET /smuggled HTTP/1.1\r\nHost: "
                    + host(guest)
                    + "\r\n"
                    + AUTHORIZED
                    + "\r\n");
    RawClient.Answer answer = client.answer();
    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.head()).contains("connection: close");
    assertThat(client.rest()).isEmpty();
    assertThat(guest.heads).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "5;x=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "5;a\r\nhello\r\n0\r\n\r\n",
        "fffffffff\r\nhello",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
      })
  void aChunkWithTwoReadingsEndsTheRequest(String body) throws Exception {
    BlockingQueue<String> bodies = new LinkedBlockingQueue<>();
    GuestServer guest =
        guest(connection -> {
          try {
            bodies.add(new String(connection.in().readAllBytes(), StandardCharsets.ISO_8859_1));
          } catch (IOException e) {
            bodies.add("broken off");
          }
        });
    RawClient client =
        client()
            .send(
                "POST / HTTP/1.1\r\nHost: "
                    + host(guest)
                    + "\r\nTransfer-Encoding: chunked\r\n"
                    + AUTHORIZED
                    + "\r\n"
                    + body
                    + get(guest, AUTHORIZED));
    RawClient.Answer answer = client.answer();
    assertThat(answer.status()).isEqualTo(400);
    assertThat(client.rest()).isEmpty();
    // It may have been broken off before the port saw any of it.
    assertThat(bodies).allMatch(seen -> !seen.contains("0\r\n\r\n"));
  }

  @Test
  void aHeadThatIsTooLargeIsRefused() throws Exception {
    GuestServer guest = saying(OK);
    RawClient client = client();
    client.send(get(guest, AUTHORIZED + "X: " + "x".repeat(40_000) + "\r\n"));
    assertThat(client.answer().status()).isEqualTo(431);
    assertThat(client.rest()).isEmpty();
    RawClient.Answer within =
        client().send(get(guest, AUTHORIZED + "X: " + "x".repeat(20_000) + "\r\n")).answer();
    assertThat(within.status()).isEqualTo(200);
  }

  @Test
  void aHeadThatTakesItsTimeIsNotWaitedFor() throws Exception {
    with(Map.of("ports.head-timeout", "1s", "ports.keep-alive", "1s"));
    GuestServer guest = saying(OK);
    RawClient silent = client();
    RawClient slow = client();
    slow.send("GET / HTTP/1.1\r\nHost: x");
    assertThat(slow.answer().status()).isEqualTo(408);
    assertThat(slow.rest()).isEmpty();
    assertThat(silent.rest()).isEmpty();
    RawClient again = client();
    again.send(get(guest, AUTHORIZED));
    assertThat(again.answer().status()).isEqualTo(200);
    assertThat(again.rest()).as("a connection without a second request").isEmpty();
    RawClient second = client();
    second.send(get(guest, AUTHORIZED) + "GET / HT");
    assertThat(second.answer().status()).isEqualTo(200);
    assertThat(second.answer().status()).isEqualTo(408);
  }

  @Test
  void aBodyThatStopsIsNotWaitedFor() throws Exception {
    with(Map.of("ports.stall", "1s"));
    GuestServer guest = guest(connection -> connection.in().readAllBytes());
    RawClient client = client();
    client.send(
        "POST / HTTP/1.1\r\nHost: "
            + host(guest)
            + "\r\nContent-Length: 10\r\n"
            + AUTHORIZED
            + "\r\nhalf");
    assertThat(client.answer().status()).isEqualTo(408);
    assertThat(client.rest()).isEmpty();
    assertThat(guest.ends.poll(PATIENCE_SECONDS, TimeUnit.SECONDS)).isEqualTo("reset");
  }

  @Test
  void requestsOfOneConnectionAreAnsweredInOrder() throws Exception {
    GuestServer guest =
        guest(connection -> {
          String path = connection.head().split(" ", 3)[1];
          connection.say("HTTP/1.1 200 OK\r\nContent-Length: " + path.length() + "\r\n\r\n" + path);
        });
    RawClient client = client();
    StringBuilder requests = new StringBuilder();
    for (int i = 0; i < 20; i++) {
      requests.append(
          "GET /%d HTTP/1.1\r\nHost: %s\r\n%s\r\n".formatted(i, host(guest), AUTHORIZED));
    }
    client.send(requests.toString());
    for (int i = 0; i < 20; i++) {
      assertThat(client.answer().body()).isEqualTo("/" + i);
    }
  }

  @Test
  void aBodyGoesOnAsItComesInWhateverFraming() throws Exception {
    BlockingQueue<String> seen = new LinkedBlockingQueue<>();
    CountDownLatch first = new CountDownLatch(1);
    GuestServer guest =
        guest(connection -> {
          seen.add(connection.read("5\r\nhello\r\n".length()));
          first.countDown();
          seen.add(connection.read("6\r\n world\r\n0\r\n\r\n".length()));
          connection.say(OK);
        });
    RawClient client = client();
    client.send(
        "POST / HTTP/1.1\r\nHost: "
            + host(guest)
            + "\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n"
            + AUTHORIZED
            + "\r\n");
    assertThat(client.head()).isEqualTo("http/1.1 100 continue\r\n\r\n");
    client.send("5\r\nhello\r\n");
    assertThat(first.await(PATIENCE_SECONDS, TimeUnit.SECONDS))
        .as("the first part, while the second is not there")
        .isTrue();
    client.send("6\r\n world\r\n0\r\nX-Trailer: dropped\r\n\r\n");
    assertThat(client.answer().body()).isEqualTo("ok");
    assertThat(guest.nextHead()).contains("Transfer-Encoding: chunked").doesNotContain("Expect");
    assertThat(seen).containsExactly("5\r\nhello\r\n", "6\r\n world\r\n0\r\n\r\n");
  }

  @Test
  void anAnswerGoesOnAsItComes() throws Exception {
    BlockingQueue<String> toSay = new LinkedBlockingQueue<>();
    GuestServer guest =
        guest(connection -> {
          connection.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
          for (String event = toSay.take(); !event.equals("end"); event = toSay.take()) {
            connection.say(event);
          }
        });
    RawClient client = client();
    client.send(get(guest, AUTHORIZED));
    assertThat(client.head()).contains("transfer-encoding: chunked");
    for (int i = 0; i < 5; i++) {
      toSay.add("data: " + i + "\n\n");
      assertThat(client.chunk()).isEqualTo("data: " + i + "\n\n");
    }
    toSay.add("end");
    assertThat(client.chunk()).isEmpty();
  }

  @Test
  void aPortThatReadsNothingHoldsItsClientBack() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    BlockingQueue<Integer> read = new LinkedBlockingQueue<>();
    GuestServer guest =
        guest(connection -> {
          go.await();
          read.add(connection.in().readNBytes(64 << 20).length);
          connection.say(OK);
        });
    int length = 64 << 20;
    try (SocketChannel socket =
            SocketChannel.open(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), app.portsPort()));
        Selector selector = Selector.open()) {
      socket.setOption(StandardSocketOptions.SO_SNDBUF, 64 << 10);
      String head =
          "PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n"
              .formatted(host(guest), length, AUTHORIZED);
      ByteBuffer begin = ByteBuffer.wrap(head.getBytes(StandardCharsets.US_ASCII));
      while (begin.hasRemaining()) {
        socket.write(begin);
      }
      socket.configureBlocking(false);
      socket.register(selector, SelectionKey.OP_WRITE);
      int sent = 0;
      while (sent < length && selector.select(HELD_MS) > 0) {
        selector.selectedKeys().clear();
        sent += socket.write(ByteBuffer.allocate(Math.min(64 << 10, length - sent)));
      }
      assertThat(sent)
          .as("all that lies between a client and a port that reads nothing")
          .isLessThan(length / 2);
      go.countDown();
      while (sent < length && selector.select(TimeUnit.SECONDS.toMillis(PATIENCE_SECONDS)) > 0) {
        selector.selectedKeys().clear();
        sent += socket.write(ByteBuffer.allocate(Math.min(64 << 10, length - sent)));
      }
      assertThat(read.poll(PATIENCE_SECONDS, TimeUnit.SECONDS)).isEqualTo(length);
    }
  }

  @Test
  void aSandboxThatSleepsAnswersTheRequestThatWokeIt() throws Exception {
    GuestServer guest = saying(OK);
    mesh.ports.awake = new CountDownLatch(1);
    RawClient client = client();
    client.send(
        "POST / HTTP/1.1\r\nHost: "
            + host(guest)
            + "\r\nContent-Length: 5\r\n"
            + AUTHORIZED
            + "\r\nhello");
    CompletableFuture<RawClient.Answer> answer =
        CompletableFuture.supplyAsync(() -> {
          try {
            return client.answer();
          } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
          }
        });
    while (mesh.ports.opened.isEmpty()) {
      Thread.onSpinWait();
    }
    assertThat(answer).isNotDone();
    mesh.ports.awake.countDown();
    assertThat(answer.get(PATIENCE_SECONDS, TimeUnit.SECONDS).status()).isEqualTo(200);
  }

  @Test
  void aSandboxThatDoesNotWakeIsWaitedForNoLongerThanWasSaid() throws Exception {
    with(Map.of("ports.connect", "1s"));
    GuestServer guest = saying(OK);
    mesh.ports.awake = new CountDownLatch(1);
    RawClient.Answer answer = client().send(get(guest, AUTHORIZED)).answer();
    assertThat(answer.status()).isEqualTo(504);
    assertThat(answer.body()).contains("PORT_TIMEOUT");
  }

  @Test
  void aPortThatSaysNothingIsWaitedForNoLongerThanWasSaid() throws Exception {
    with(Map.of("ports.idle", "1s"));
    CountDownLatch never = new CountDownLatch(1);
    GuestServer guest = guest(connection -> never.await());
    RawClient.Answer answer = client().send(get(guest, AUTHORIZED)).answer();
    assertThat(answer.status()).isEqualTo(504);
    assertThat(answer.body()).contains("ANSWER_TIMEOUT");
    never.countDown();
  }

  @Test
  void aPortThatNobodyListensOn() throws Exception {
    int free;
    try (ServerSocket socket = new ServerSocket(0)) {
      free = socket.getLocalPort();
    }
    RawClient.Answer answer =
        client()
            .send(
                "GET / HTTP/1.1\r\nHost: %d-%s.localhost\r\n%s\r\n"
                    .formatted(free, SANDBOX, AUTHORIZED))
            .answer();
    assertThat(answer.status()).isEqualTo(502);
    assertThat(answer.head()).contains("cofferdam-error: port_closed");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
      })
  void anAnswerThatIsNone(String said) throws Exception {
    GuestServer guest = saying(said);
    RawClient.Answer answer = client().send(get(guest, AUTHORIZED)).answer();
    assertThat(answer.status()).isEqualTo(502);
    assertThat(answer.head()).contains("cofferdam-error: answer_invalid");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx",
      })
  void aPartIsNotTakenForTheWhole(String said) throws Exception {
    GuestServer guest = saying(said);
    RawClient client = client();
    client.send(get(guest, AUTHORIZED));
    client.head();
    assertThat(client.rest()).contains("half").doesNotContain("0\r\n\r\n");
  }

  @Test
  void aClientThatLeavesIsMissedByThePort() throws Exception {
    GuestServer guest =
        guest(connection -> {
          connection.say("HTTP/1.1 200 OK\r\n\r\nbegun");
          while (connection.in().read() >= 0) {
            // Nothing more is sent.
          }
        });
    RawClient client = client();
    client.send(get(guest, AUTHORIZED));
    client.head();
    client.close();
    assertThat(guest.ends.poll(PATIENCE_SECONDS, TimeUnit.SECONDS)).isEqualTo("reset");
  }

  @Test
  void aSandboxHasOnlySoManyRequestsAtATime() throws Exception {
    with(Map.of("ports.per-sandbox", "1"));
    CountDownLatch go = new CountDownLatch(1);
    GuestServer guest =
        guest(connection -> {
          go.await();
          connection.say(OK);
        });
    RawClient first = client();
    first.send(get(guest, AUTHORIZED));
    guest.nextHead();
    RawClient.Answer second = client().send(get(guest, AUTHORIZED)).answer();
    assertThat(second.status()).isEqualTo(429);
    go.countDown();
    assertThat(first.answer().status()).isEqualTo(200);
    RawClient.Answer third = client().send(get(guest, AUTHORIZED)).answer();
    // The first one's place may be given back after its answer was read.
    assertThat(third.status()).isIn(200, 429);
  }

  private static String upgrade(GuestServer guest) {
    return get(
        guest,
        AUTHORIZED
            + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, b\r\n");
  }

  private static final String SWITCHED =
      lines(
          "HTTP/1.1 101 Switching Protocols",
          "Upgrade: websocket",
          "Connection: Upgrade",
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

  @Test
  void aWebSocketGoesThroughBothWays() throws Exception {
    GuestServer guest =
        guest(connection -> {
          connection.say(SWITCHED + "Sec-WebSocket-Protocol: b\r\n\r\nfirst");
          connection.say(connection.read(5).toUpperCase(java.util.Locale.ROOT));
        });
    RawClient client = client();
    // What comes before the answer waits for it.
    client.send(upgrade(guest) + "hel");
    assertThat(client.head())
        .startsWith("http/1.1 101 ")
        .contains("sec-websocket-protocol: b\r\n", "upgrade: websocket\r\n")
        .doesNotContain("transfer-encoding", "content-length");
    assertThat(client.read(5)).isEqualTo("first");
    client.send("lo");
    assertThat(client.rest()).isEqualTo("HELLO");
    assertThat(guest.nextHead())
        .containsIgnoringCase("Upgrade: websocket\r\n")
        .contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        .doesNotContain("Connection: close");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Upgrade: websocket|Connection: Upgrade",
        "Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Accept: AAAA",
        "Upgrade: h2c|Connection: Upgrade|Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Upgrade: websocket|Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
      })
  void aSwitchThatIsNone(String headers) throws Exception {
    GuestServer guest = saying(lines("HTTP/1.1 101 X", headers.replace("|", "\r\n"), ""));
    RawClient.Answer answer = client().send(upgrade(guest)).answer();
    assertThat(answer.status()).isEqualTo(502);
  }

  @Test
  void aSubprotocolThatWasNotOfferedIsNotTaken() throws Exception {
    GuestServer guest = saying(SWITCHED + "Sec-WebSocket-Protocol: c\r\n\r\n");
    RawClient.Answer answer = client().send(upgrade(guest)).answer();
    assertThat(answer.status()).isEqualTo(502);
  }

  @Test
  void anUpgradeThatIsRefusedLeavesHttp() throws Exception {
    GuestServer guest = saying("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    RawClient client = client();
    client.send(upgrade(guest));
    assertThat(client.answer().status()).isEqualTo(403);
    client.send(get(guest, AUTHORIZED));
    assertThat(client.answer().status()).isEqualTo(403);
  }

  @Test
  void inTlsBothVersionsAreSpokenAndANewCertificateIsTakenUp(@TempDir Path directory)
      throws Exception {
    TestCertificates authority = TestCertificates.in(directory);
    TestCertificates.PeerFiles files = authority.peer("ports", "one");
    with(
        Map.of(
            "ports.tls.certificate", files.certificate().toString(),
            "ports.tls.key", files.key().toString()));
    GuestServer guest = saying(OK);
    // It would look for the sandbox's name; whose certificate it is, is looked at below.
    try (ClientFactory factory = ClientFactory.builder().tlsNoVerify().build()) {
      for (String protocol : List.of("h1", "h2")) {
        WebClient client =
            WebClient.builder(protocol + "://127.0.0.1:" + app.portsPort())
                .factory(factory)
                .build();
        AggregatedHttpResponse answer =
            client.execute(asking(guest, "/")).aggregate().get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        assertThat(answer.status().code()).as(protocol).isEqualTo(200);
        assertThat(guest.nextHead()).contains("X-Forwarded-Proto: https\r\n");
      }
    }
    assertThat(client().send(get(guest, AUTHORIZED)).rest()).as("in clear").doesNotContain("ok");

    BigInteger first = serial(authority);
    authority.peer("ports", "one");
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (serial(authority).equals(first)) {
      assertThat(System.nanoTime()).as("a new certificate within 60 s").isLessThan(end);
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(100));
    }
  }

  /** Of the certificate that a new connection is shown. */
  private BigInteger serial(TestCertificates authority) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    try (InputStream pem = Files.newInputStream(authority.authorityFile())) {
      trusted.setCertificateEntry(
          "authority", CertificateFactory.getInstance("X.509").generateCertificate(pem));
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    try (SSLSocket socket =
        (SSLSocket) tls.getSocketFactory().createSocket("127.0.0.1", app.portsPort())) {
      socket.startHandshake();
      return ((X509Certificate) socket.getSession().getPeerCertificates()[0]).getSerialNumber();
    }
  }

  private static RequestHeaders asking(GuestServer guest, String path) {
    return RequestHeaders.builder(HttpMethod.GET, path)
        .authority(host(guest))
        .add("authorization", "Bearer " + FakeMesh.TOKEN)
        .build();
  }

  @Test
  void http2StreamsHaveEachTheirOwnAnswer() throws Exception {
    GuestServer guest =
        guest(connection -> {
          String path = connection.head().split(" ", 3)[1];
          String body = path + connection.read(connection.head().contains("chunked") ? 15 : 0);
          connection.say("HTTP/1.1 200 OK\r\nContent-Length: " + body.length() + "\r\n\r\n" + body);
        });
    try (ClientFactory factory = ClientFactory.builder().useHttp2Preface(true).build()) {
      WebClient http2 =
          WebClient.builder("h2c://127.0.0.1:" + app.portsPort()).factory(factory).build();
      List<CompletableFuture<AggregatedHttpResponse>> answers = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        answers.add(http2.execute(asking(guest, "/" + i)).aggregate());
      }
      for (int i = 0; i < 50; i++) {
        AggregatedHttpResponse answer = answers.get(i).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        assertThat(answer.contentUtf8()).isEqualTo("/" + i);
      }
      RequestHeaders refused =
          RequestHeaders.builder(HttpMethod.POST, "/").authority(host(guest)).build();
      AggregatedHttpResponse answer =
          http2
              .execute(refused, HttpData.ofUtf8("body"))
              .aggregate()
              .get(PATIENCE_SECONDS, TimeUnit.SECONDS);
      assertThat(answer.status().code()).isEqualTo(401);
    }
    assertThat(guest.nextHead()).contains("Host: " + host(guest)).doesNotContain("authorization");
  }
}
