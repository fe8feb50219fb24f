package dev.cofferdam.edge;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.google.protobuf.Timestamp;
import com.linecorp.armeria.client.ClientFactory;
import com.linecorp.armeria.client.WebClient;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.RequestHeaders;
import com.linecorp.armeria.common.ResponseHeaders;
import dev.cofferdam.kit.call.PortKeys;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.PortKey;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** URLs of ports by keys: links, the cookies that they become, and ports for everybody. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class PortUrlsKeysTest {
  private static final String SANDBOX = "sb-abcdefghij234567abcd";
  private static final String OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  private static final long PATIENCE_SECONDS = 60;
  private static final String BROWSER = "Accept: text/html,*/*;q=0.8\r\n";

  /** Answers are compared in lower case. */
  private static final String KEY = PortKeys.PREFIX + "k".repeat(43);

  private final FakeMesh mesh = new FakeMesh();
  private final EdgeApp app;
  private final List<AutoCloseable> parts = new ArrayList<>();

  PortUrlsKeysTest() throws Exception {
    app = TestEdge.start(mesh, Map.of());
  }

  @AfterEach
  void closeParts() throws Exception {
    for (AutoCloseable part : parts) {
      part.close();
    }
    parts.clear();
    mesh.portKeys.clear();
    mesh.ports.opened.clear();
  }

  @AfterAll
  void close() {
    app.close();
    mesh.close();
  }

  private GuestServer saying(String answer) throws IOException {
    GuestServer guest = GuestServer.saying(answer);
    parts.add(guest);
    return guest;
  }

  private RawClient.Answer ask(String request) throws IOException {
    RawClient client = new RawClient(app.portsPort());
    parts.add(client);
    return client.send(request).answer();
  }

  private static String host(GuestServer guest) {
    return guest.port() + "-" + SANDBOX + ".localhost";
  }

  private static String get(GuestServer guest, String target, String more) {
    return "GET " + target + " HTTP/1.1\r\nHost: " + host(guest) + "\r\n" + more + "\r\n";
  }

  private static String cookie(String value) {
    return "Cookie: cofferdam-port=" + value + "\r\n";
  }

  private void shared(GuestServer guest, String key) {
    mesh.portKeys.put(
        key, PortKey.newBuilder().setId("pk-1").setSandbox(SANDBOX).setPort(guest.port()).build());
  }

  @Test
  void aLinkThatIsFollowedBecomesACookieAndItsKeyIsSeenByNobody() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    Logger logs = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    ListAppender<ILoggingEvent> lines = new ListAppender<>();
    lines.start();
    logs.addAppender(lines);
    try {
      RawClient.Answer landing = ask(get(guest, "/a?x=1&cofferdam_key=" + KEY + "&y=2", BROWSER));
      assertThat(landing.status()).isEqualTo(303);
      assertThat(landing.head())
          .contains(
              "\r\nlocation: http://" + host(guest) + "/a?x=1&y=2\r\n",
              "\r\nset-cookie: cofferdam-port=" + KEY + "; path=/; httponly; samesite=lax\r\n",
              "\r\ncache-control: no-store\r\n",
              "\r\nreferrer-policy: no-referrer\r\n")
          .doesNotContain("domain");
      assertThat(mesh.ports.opened).as("a link wakes nothing").isEmpty();

      RawClient.Answer page =
          ask(get(guest, "/a?x=1&y=2", "Cookie: a=b; cofferdam-port=" + KEY + "; c=d\r\n"));
      assertThat(page.body()).isEqualTo("ok");
      assertThat(guest.nextHead()).contains("Cookie: a=b; c=d\r\n").doesNotContain("cfk_");
      assertThat(ask(get(guest, "/", cookie(KEY))).status()).isEqualTo(200);
      assertThat(guest.nextHead()).doesNotContainIgnoringCase("cookie");
      assertThat(ask(get(guest, "/", cookie(KEY + "x"))).status()).isEqualTo(401);
    } finally {
      logs.detachAppender(lines);
    }
    assertThat(lines.list)
        .noneMatch(line -> (line + String.valueOf(line.getKeyValuePairs())).contains(KEY));
  }

  @Test
  void aLinkWorksForWhatIsNoBrowserToo() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    assertThat(ask(get(guest, "/a?cofferdam_key=" + KEY, "Accept: */*\r\n")).body())
        .isEqualTo("ok");
    assertThat(guest.nextHead()).startsWith("GET /a HTTP/1.1\r\n").doesNotContain("cfk_");
    assertThat(ask(get(guest, "/", "Authorization: Bearer " + KEY + "\r\n")).body())
        .isEqualTo("ok");
    assertThat(guest.nextHead()).doesNotContain("cfk_");
    assertThat(
            ask(get(guest, "/p?cofferdam_key=" + KEY, BROWSER).replaceFirst("GET", "POST"))
                .status())
        .isEqualTo(200);
    assertThat(guest.nextHead()).startsWith("POST /p HTTP/1.1\r\n").doesNotContain("cfk_");
  }

  @Test
  void whatAPageOfALinkRefersToIsNotToldOfTheKey() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    String referer = "Referer: http://" + host(guest) + "/a";
    ask(get(guest, "/", cookie(KEY) + referer + "?cofferdam_key=" + KEY + "\r\n"));
    assertThat(guest.nextHead()).doesNotContainIgnoringCase("referer");
    ask(get(guest, "/", cookie(KEY) + referer + "\r\n"));
    assertThat(guest.nextHead()).contains(referer);
  }

  @Test
  void onlyAPageThatIsShownIsLedOn() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    String link = "/?cofferdam_key=" + KEY;
    assertThat(ask(get(guest, link, BROWSER + "Sec-Fetch-Mode: cors\r\n")).status()).isEqualTo(200);
    String socket =
        String.join(
            "\r\n",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "");
    assertThat(ask(get(guest, link, BROWSER + socket)).status()).isEqualTo(200);
  }

  @Test
  void ofTwoKeysInALinkNoneIsTaken() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    String link = "/?cofferdam_key=" + KEY + "&cofferdam_key=";
    for (String second : List.of(KEY, "x", "")) {
      assertThat(ask(get(guest, link + second, "")).status()).isEqualTo(401);
    }
    assertThat(ask(get(guest, "/?cofferdam_key=cfk_x", cookie(KEY))).status())
        .as("a link goes before a cookie")
        .isEqualTo(401);
    assertThat(guest.heads).isEmpty();
  }

  private void assertShut(GuestServer guest, String key) throws IOException {
    for (String more :
        List.of(cookie(key), "Authorization: Bearer " + key + "\r\n", "Accept: */*\r\n", BROWSER)) {
      boolean link = more.startsWith("Accept");
      RawClient.Answer answer = ask(get(guest, link ? "/?cofferdam_key=" + key : "/", more));
      assertThat(answer.status()).as(more).isEqualTo(401);
      assertThat(answer.head()).doesNotContain("set-cookie");
    }
    assertThat(guest.heads).isEmpty();
  }

  @Test
  void aKeyOfOnePortOpensNoOther() throws Exception {
    GuestServer guest = saying(OK);
    GuestServer other = saying(OK);
    shared(guest, KEY);
    assertShut(other, KEY);
    String elsewhere = get(guest, "/", cookie(KEY)).replace(SANDBOX, "sb-aaaaaaaaaaaaaaaaaaaa");
    assertThat(ask(elsewhere).status()).isEqualTo(401);
  }

  @Test
  void aKeyThatIsMadeUpOpensNothing() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    assertShut(guest, PortKeys.PREFIX + "x".repeat(43));
    assertShut(guest, "x");
    assertShut(guest, PortKeys.ofEverybody(SANDBOX, guest.port()));
  }

  @Test
  void aKeyThatIsTakenBackOpensNothingMore() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    assertThat(ask(get(guest, "/", cookie(KEY))).status()).isEqualTo(200);
    var _ = guest.nextHead();
    mesh.portKeys.clear();
    assertShut(guest, KEY);
  }

  /** Another port's page may have set the second, for the domain of both. */
  @Test
  void ofTwoCookiesNoneIsTaken() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    String second = PortKeys.PREFIX + "z".repeat(43);
    for (String both :
        List.of(
            "Cookie: cofferdam-port=" + second + "; cofferdam-port=" + KEY + "\r\n",
            "Cookie: cofferdam-port=" + KEY + "; __Host-cofferdam-port=" + second + "\r\n",
            cookie(KEY) + cookie(second))) {
      assertThat(ask(get(guest, "/", both)).status()).as(both).isEqualTo(401);
    }
    assertThat(guest.heads).isEmpty();
  }

  @Test
  void aProgramSetsNoCookieInOurName() throws Exception {
    GuestServer guest =
        saying(
            String.join(
                "\r\n",
                "HTTP/1.1 200 OK",
                "Content-Length: 0",
                "Set-Cookie: cofferdam-port=x; Path=/",
                "Set-Cookie:  __Host-Cofferdam-Port =x; Path=/",
                "Set-Cookie: cofferdam-port",
                "Set-Cookie: mine=cofferdam-port",
                "",
                ""));
    shared(guest, KEY);
    assertThat(ask(get(guest, "/", cookie(KEY))).head())
        .containsOnlyOnce("set-cookie")
        .contains("set-cookie: mine=cofferdam-port\r\n");
  }

  @Test
  void aPathOfTwoSlashesLeadsToNoOtherHost() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    assertThat(ask(get(guest, "//evil.example/?cofferdam_key=" + KEY, BROWSER)).head())
        .contains("\r\nlocation: http://" + host(guest) + "//evil.example/\r\n");
  }

  private static final String NAVIGATE = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

  /** {@code @} stands for the port's own host. All ports are one site to a browser. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "GET|Origin: http://9999-sb-abcdefghij234567abcd.localhost",
        "GET|Origin: https://@",
        "GET|Origin: null",
        "POST|Origin: http://evil.example",
        "GET|Sec-Fetch-Site: same-site",
        "GET|Sec-Fetch-Site: cross-site",
        "GET|Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe",
        "GET|Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: document",
        "POST|Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document",
        "GET|Origin: http://evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      })
  void aPageOfAnotherOriginCannotUseTheCookie(String methodAndHeaders) throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    String[] parts = methodAndHeaders.split("\\|", 2);
    String request =
        get(guest, "/", cookie(KEY) + parts[1].replace("@", host(guest)) + "\r\n")
            .replaceFirst("GET", parts[0]);
    RawClient.Answer answer = ask(request);
    assertThat(answer.status()).isEqualTo(403);
    assertThat(answer.head()).contains("cofferdam-error: cross_origin");
    assertThat(guest.heads).isEmpty();
  }

  @Test
  void thePortsOwnPagesAndLinksToItUseTheCookie() throws Exception {
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    for (String more :
        List.of(
            "Origin: http://" + host(guest) + "\r\nSec-Fetch-Site: same-origin\r\n",
            "Sec-Fetch-Site: none\r\n" + NAVIGATE,
            "Sec-Fetch-Site: cross-site\r\n" + NAVIGATE,
            "Sec-Fetch-Site: same-site\r\n" + NAVIGATE)) {
      assertThat(ask(get(guest, "/", cookie(KEY) + more)).status()).as(more).isEqualTo(200);
    }
    String token =
        "Authorization: Bearer " + FakeMesh.TOKEN + "\r\nOrigin: http://mine.example\r\n";
    assertThat(ask(get(guest, "/", token)).status())
        .as("a token is sent by no page")
        .isEqualTo(200);
  }

  @Test
  void aPortIsForEverybodyWhileThereIsAKeyForEverybody() throws Exception {
    GuestServer guest = saying(OK);
    assertThat(ask(get(guest, "/", "")).status()).isEqualTo(401);
    shared(guest, PortKeys.ofEverybody(SANDBOX, guest.port()));
    assertThat(ask(get(guest, "/", "Authorization: Bearer of-the-program\r\n")).body())
        .isEqualTo("ok");
    assertThat(guest.nextHead()).contains("Authorization: Bearer of-the-program\r\n");
    assertThat(ask(get(guest, "/", "Origin: http://any.example\r\n")).status()).isEqualTo(200);
    var _ = guest.nextHead();
    mesh.portKeys.clear();
    assertThat(ask(get(guest, "/", "")).status()).isEqualTo(401);
    assertThat(guest.heads).isEmpty();
  }

  @Test
  void aCookieLastsAsLongAsItsKey() throws Exception {
    GuestServer guest = saying(OK);
    mesh.portKeys.put(
        KEY,
        PortKey.newBuilder()
            .setSandbox(SANDBOX)
            .setPort(guest.port())
            .setExpireTime(Timestamp.newBuilder().setSeconds(1))
            .build());
    assertThat(ask(get(guest, "/?cofferdam_key=" + KEY, "Sec-Fetch-Mode: navigate\r\n")).head())
        .contains("; max-age=0\r\n");
  }

  @Test
  void inTlsNoOtherHostCanSetTheCookie(@TempDir Path directory) throws Exception {
    var files = TestCertificates.in(directory).peer("edge-gateway", "e1");
    GuestServer guest = saying(OK);
    shared(guest, KEY);
    EdgeApp secure =
        TestEdge.start(
            mesh,
            Map.of(
                "ports.tls.certificate", files.certificate().toString(),
                "ports.tls.key", files.key().toString()));
    parts.add(secure);
    try (ClientFactory factory = ClientFactory.builder().tlsNoVerify().build()) {
      WebClient client =
          WebClient.builder("https://127.0.0.1:" + secure.portsPort()).factory(factory).build();
      ResponseHeaders head =
          client
              .execute(
                  RequestHeaders.builder(HttpMethod.GET, "/a?cofferdam_key=" + KEY)
                      .authority(host(guest))
                      .add("accept", "text/html")
                      .build())
              .aggregate()
              .get(PATIENCE_SECONDS, TimeUnit.SECONDS)
              .headers();
      assertThat(head.status().code()).isEqualTo(303);
      assertThat(head.get("location")).isEqualTo("https://" + host(guest) + "/a");
      assertThat(head.get("set-cookie"))
          .isEqualTo("__Host-cofferdam-port=" + KEY + "; Path=/; HttpOnly; SameSite=Lax; Secure");
      assertThat(withCookie(client, guest, "https")).isEqualTo(200);
      assertThat(guest.nextHead()).doesNotContainIgnoringCase("cookie");
      assertThat(withCookie(client, guest, "http")).as("another origin").isEqualTo(403);
    }
  }

  private static int withCookie(WebClient client, GuestServer guest, String scheme)
      throws Exception {
    return client
        .execute(
            RequestHeaders.builder(HttpMethod.GET, "/")
                .authority(host(guest))
                .add("cookie", "__Host-cofferdam-port=" + KEY)
                .add("origin", scheme + "://" + host(guest))
                .build())
        .aggregate()
        .get(PATIENCE_SECONDS, TimeUnit.SECONDS)
        .status()
        .code();
  }
}
