package dev.cofferdam.edge;

import static dev.cofferdam.edge.Eventually.eventually;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.cofferdam.edge.sandbox.SandboxIds;
import dev.cofferdam.kit.call.ExposedHost;
import dev.cofferdam.v1.PortKey;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** {@code exposeHttp} of the SDKs, and the host names that it gives ports. */
final class ExposeTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  private static final String QUIET = "\"stdout\":\"null\",\"stderr\":\"null\"";

  private final FakeMesh mesh = new FakeMesh();
  private final List<AutoCloseable> parts = new ArrayList<>();
  private EdgeApp app;
  private Sdk sdk;
  private Sdk.Socket socket;
  private final String sandbox;

  ExposeTest() throws Exception {
    start(Map.of());
    sandbox = mesh.sandboxes.keySet().iterator().next();
  }

  private void start(Map<String, String> settings) throws IOException {
    app = TestEdge.start(mesh, settings);
    sdk = new Sdk(app.port());
    socket = sdk.create(Sdk.BOTH, "{}");
  }

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable part : parts) {
      part.close();
    }
    sdk.close();
    app.close();
    mesh.close();
  }

  private GuestServer saying(String answer) throws IOException {
    GuestServer guest = GuestServer.saying(answer);
    parts.add(guest);
    return guest;
  }

  private RawClient.Answer ask(String host, String target, String more) throws IOException {
    RawClient client = new RawClient(app.portsPort());
    parts.add(client);
    return client
        .send("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n")
        .answer();
  }

  private HttpResponse<String> post(String token, String id, String body) throws Exception {
    return sdk.send("POST", "/api/v3/sandbox/" + id + "/expose/http", token, body);
  }

  private static String foreign(String id) {
    return SandboxIds.foreign("ord", id);
  }

  private String domain() throws Exception {
    HttpResponse<String> answer = post(Sdk.BOTH, foreign(sandbox), "{}");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return JSON.readTree(answer.body()).path("domain").asText();
  }

  private JsonNode expose(String domain, String target) throws Exception {
    return socket.ask("exposeHttp", "{\"domain\":\"%s\",%s}".formatted(domain, target));
  }

  private static String port(int port) {
    return "\"port\":" + port;
  }

  private String exposed(GuestServer guest) throws Exception {
    String domain = domain();
    JsonNode answer = expose(domain, port(guest.port()) + ",\"pid\":null");
    assertThat(answer.at("/result").has("ok")).as(answer.toString()).isTrue();
    assertThat(answer.at("/result/ok").isNull()).isTrue();
    return domain;
  }

  @Test
  void anExposedPortIsForEverybodyUnderANameOfItsOwn() throws Exception {
    GuestServer guest = saying(OK);
    String host = exposed(guest);
    assertThat(host)
        .matches("[a-z2-7]{12}-" + sandbox.substring(3) + "\\.localhost:" + app.portsPort());
    assertThat(ask(host, "/a?b=c", "").body()).isEqualTo("ok");
    assertThat(guest.nextHead())
        .startsWith("GET /a?b=c HTTP/1.1\r\nHost: " + host + "\r\n")
        .contains("X-Forwarded-Host: " + host + "\r\n", "Connection: close\r\n");
    assertThat(ask(host.toUpperCase(java.util.Locale.ROOT), "/", "").status()).isEqualTo(200);
    assertThat(ask(guest.port() + "-" + sandbox + ".localhost", "/", "").status())
        .as("the port's own URL stays private")
        .isEqualTo(401);
    assertThat(exposed(guest)).as("another time, another name").isNotEqualTo(host);
  }

  /** Another edge has nothing but what the scheduler knows. */
  @Test
  void aNameHoldsAtAnotherEdgeAndAfterARestart() throws Exception {
    GuestServer guest = saying(OK);
    String host = exposed(guest);
    sdk.close();
    app.close();
    start(Map.of());
    assertThat(ask(host, "/", "").body()).isEqualTo("ok");
  }

  @Test
  void nothingOfOursGoesOnAndWhoAsksIsNotLookedAt() throws Exception {
    GuestServer guest = saying(OK);
    String host = exposed(guest);
    for (String more :
        List.of(
            "Authorization: Bearer " + FakeMesh.TOKEN + "\r\n",
            "Authorization: Bearer " + Sdk.BOTH + "\r\n",
            "Authorization: Bearer cfd_nobody\r\n",
            "Proxy-Authorization: Bearer " + FakeMesh.TOKEN + "\r\n",
            "Cookie: cofferdam-port=cfk_x; mine=1\r\nOrigin: http://evil.example\r\n",
            "Cookie: __Host-cofferdam-port=cfk_x\r\n",
            "Referer: http://x.localhost/?cofferdam_key=cfk_x\r\n")) {
      RawClient.Answer answer =
          ask(host, "/a?cofferdam_key=cfk_x&b=c", "Accept: text/html\r\n" + more);
      assertThat(answer.status()).as(more).isEqualTo(200);
      assertThat(guest.nextHead())
          .startsWith("GET /a?b=c HTTP/1.1\r\n")
          .doesNotContainIgnoringCase("authorization")
          .doesNotContainIgnoringCase("cofferdam-port")
          .doesNotContain("cfk_", "cfd_", "ddo_");
    }
    ask(host, "/", "Authorization: Bearer of-the-program\r\nCookie: mine=1\r\n");
    assertThat(guest.nextHead())
        .contains("Authorization: Bearer of-the-program\r\n", "Cookie: mine=1\r\n");
  }

  private static String without(String head) {
    return head.replaceAll("\r\ndate: [^\r]*", "");
  }

  @Test
  void aNameThatIsNoneIsAnsweredAsThatOfASandboxThatHasEnded() throws Exception {
    GuestServer guest = saying(OK);
    String host = exposed(guest);
    String unknown = "aaaaaaaaaaaa-" + sandbox.substring(3) + ".localhost:" + app.portsPort();
    assertThat(domain()).as("asked for, and not exposed").isNotEqualTo(host);
    mesh.portKeys.clear();
    RawClient.Answer gone = ask(host, "/", "");
    RawClient.Answer never = ask(unknown, "/", "Authorization: Bearer " + FakeMesh.TOKEN + "\r\n");
    assertThat(gone.status()).isEqualTo(404);
    assertThat(without(never.head())).isEqualTo(without(gone.head()));
    assertThat(never.body()).isEqualTo(gone.body());
    assertThat(gone.head()).contains("cofferdam-error: host_not_exposed").doesNotContain("bearer");
    assertThat(ask(domain(), "/", "").status()).isEqualTo(404);
    assertThat(guest.heads).isEmpty();
    assertThat(mesh.ports.opened).as("it wakes nothing").isEmpty();
  }

  /** Between the two questions that the edge asks. */
  @Test
  void aNameThatEndsMeanwhileIsAnsweredAlike() throws Exception {
    GuestServer guest = saying(OK);
    String host = exposed(guest);
    mesh.ports.shut = true;
    RawClient.Answer answer = ask(host, "/", "");
    assertThat(answer.status()).isEqualTo(404);
    assertThat(answer.head()).contains("cofferdam-error: host_not_exposed");
  }

  @Test
  void whatDoesNotListenIsNotHidden() throws Exception {
    GuestServer guest = saying(OK);
    String host = exposed(guest);
    guest.close();
    assertThat(ask(host, "/", "").status()).isEqualTo(502);
  }

  private void assertRefused(JsonNode answer, String parameter) {
    assertThat(answer.at("/error/code").asInt()).as(answer.toString()).isEqualTo(-32602);
    assertThat(answer.at("/error/data/constructorName").asText()).isEqualTo("ZodError");
    assertThat(answer.at("/error/data/message").asText()).contains("\"path\":[\"" + parameter);
  }

  @Test
  void aNameIsOneThatTheEdgeAnsweredForThisSandbox() throws Exception {
    String own = sandbox.substring(3);
    String end = ".localhost:" + app.portsPort();
    for (String other :
        List.of(
            // Of another sandbox.
            "aaaaaaaaaaaa-aaaaaaaaaaaaaaaaaaaa" + end,
            // Of no form.
            "shop" + end,
            own + end,
            "aaaaaaaaaaa-" + own + end,
            "aaaaaaaaaaaa" + own + end,
            "AAAAAAAAAAAA-" + own + end,
            "a.aaaaaaaaaa-" + own + end,
            "paypal-login-" + own + end,
            "8080-" + sandbox + end,
            // Elsewhere.
            "aaaaaaaaaaaa-" + own,
            "aaaaaaaaaaaa-" + own + ".localhost",
            "aaaaaaaaaaaa-" + own + ".evil.example",
            "aaaaaaaaaaaa-" + own + end.replace("localhost", "evilhosts"),
            "aaaaaaaaaaaa-" + own + "x" + end,
            "")) {
      assertRefused(expose(other, port(8080)), "domain");
    }
    assertRefused(socket.ask("exposeHttp", "{\"port\":80}"), "domain");
    assertThat(mesh.portKeys).isEmpty();
  }

  @Test
  void aNameStandsForOnePort() throws Exception {
    GuestServer guest = saying(OK);
    String host = exposed(guest);
    assertThat(expose(host, port(81)).at("/result/error/code").asText()).isEqualTo("HOST_TAKEN");
    assertThat(expose(host, port(guest.port())).at("/result").has("ok")).isTrue();
    assertThat(ask(host, "/", "").body()).isEqualTo("ok");
  }

  @Test
  void aPortThatIsNone() throws Exception {
    String domain = domain();
    for (String port :
        List.of("0", "65536", "-1", "1.5", "4294967376", "\"80\"", "9007199254740993")) {
      assertRefused(expose(domain, "\"port\":" + port), "port");
      HttpResponse<String> answer =
          post(Sdk.BOTH, foreign(sandbox), "{\"port\":%s}".formatted(port));
      assertThat(answer.statusCode()).as(port).isEqualTo(400);
      assertThat(JSON.readTree(answer.body()).path("code").asText()).isEqualTo("INVALID_REQUEST");
      assertThat(JSON.readTree(answer.body()).path("message").asText()).contains("port");
      assertThat(answer.headers().firstValue("x-deno-trace-id")).isPresent();
    }
    assertThat(mesh.portKeys).isEmpty();
  }

  @Test
  void whatPythonAsksForWithTheName() throws Exception {
    for (String body : List.of("{\"port\":1}", "{\"port\":65535}", "{\"pid\":7}", "{}")) {
      assertThat(post(Sdk.BOTH, foreign(sandbox), body).statusCode()).isEqualTo(200);
    }
    for (String body : List.of("{\"port\":1,\"pid\":7}", "[]", "x", "")) {
      assertThat(post(Sdk.BOTH, foreign(sandbox), body).statusCode()).as(body).isEqualTo(400);
    }
    String domain = domain();
    assertRefused(expose(domain, "\"port\":80,\"pid\":7"), "pid");
    assertRefused(expose(domain, "\"port\":null"), "pid");
  }

  @Test
  void aDenoProcessIsExposedByItsPid() throws Exception {
    int pid =
        socket.ask("spawnDeno", "{\"code\":\"1\"," + QUIET + "}").at("/result/ok/pid").asInt();
    String address = mesh.started.getLast().getEnvOrDefault("DENO_SERVE_ADDRESS", "");
    String domain = domain();
    assertThat(expose(domain, "\"pid\":" + pid).at("/result").has("ok")).isTrue();
    ExposedHost host = ExposedHost.of(domain.replaceFirst("\\..*", "")).orElseThrow();
    assertThat(mesh.portKeys.get(host.key()))
        .isEqualTo(
            PortKey.newBuilder()
                .setSandbox(sandbox)
                .setPort(Integer.parseInt(address.substring(address.lastIndexOf(':') + 1)))
                .setPublic(true)
                .setHost(host.label())
                .build());
  }

  @Test
  void aProcessThatServesNothing() throws Exception {
    int repl = socket.ask("spawnDenoRepl", "{" + QUIET + "}").at("/result/ok/pid").asInt();
    int ended =
        socket
            .ask("spawnDeno", "{\"code\":\"1\",\"scriptArgs\":[\"exit-now\"]," + QUIET + "}")
            .at("/result/ok/pid")
            .asInt();
    socket.ask("processWait", "{\"pid\":%d}".formatted(ended));
    String over = domain();
    eventually(
        () -> {
          try {
            return !expose(over, "\"pid\":" + ended).at("/result").has("ok");
          } catch (Exception e) {
            throw new AssertionError(e);
          }
        },
        "a process that is known to have ended");
    mesh.portKeys.clear();
    for (long pid : List.of((long) repl, (long) ended, 7L, -1L, 1L << 33)) {
      JsonNode error = expose(domain(), "\"pid\":" + pid).at("/result/error");
      assertThat(error.path("constructorName").asText()).isEqualTo("NotFound");
      assertThat(error.path("message").asText()).contains("no Deno process " + pid);
    }
    assertThat(mesh.portKeys).isEmpty();
  }

  private static final String SECRET =
      "\"secrets\":{\"A\":{\"hosts\":[\"a.test\"],\"value\":\"0123456789abcdef\"}}";

  @Test
  void aPortOfACreateIsForEverybodyUnderTheUrlThatSaysIt() throws Exception {
    GuestServer guest = saying(OK);
    sdk.create(Sdk.BOTH, "{%s,%s}".formatted(port(guest.port()), SECRET));
    String id =
        mesh.sandboxes.keySet().stream().filter(other -> !other.equals(sandbox)).findAny().get();
    assertThat(mesh.portKeys.values())
        .containsExactly(
            PortKey.newBuilder().setSandbox(id).setPort(guest.port()).setPublic(true).build());
    assertThat(ask(guest.port() + "-" + id + ".localhost", "/", "").body()).isEqualTo("ok");
    assertThat(ask(guest.port() + "-" + sandbox + ".localhost", "/", "").status()).isEqualTo(401);
    assertThat(mesh.secrets).hasSize(1);
  }

  @Test
  void withoutItsPortNoSandboxIsMade() throws Exception {
    mesh.keptPrivate = true;
    for (String timeout : List.of("session", "10m")) {
      String config = "{\"port\":8000,\"timeout\":\"%s\",%s}".formatted(timeout, SECRET);
      RawClient client = new RawClient(app.port());
      parts.add(client);
      RawClient.Answer answer =
          client
              .send(
                  "GET /api/v3/sandboxes/create HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\n"
                      + "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer "
                      + Sdk.BOTH
                      + "\r\nx-deno-sandbox-config: "
                      + Base64.getEncoder()
                          .encodeToString(config.getBytes(StandardCharsets.ISO_8859_1))
                      + "\r\n\r\n")
              .answer();
      assertThat(answer.status()).isEqualTo(403);
      assertThat(answer.body())
          .contains("SCOPE_MISSING", "port 8000 could not be made public", "has no scope ports");
      assertThat(mesh.deleted).hasSize(mesh.created.size() - 1);
      assertThat(mesh.sandboxes).containsOnlyKeys(sandbox);
      assertThat(mesh.secrets).isEmpty();
    }
  }

  @Test
  void nobodyExposesAnothersSandbox() throws Exception {
    HttpResponse<String> answer = post("ddo_" + FakeMesh.STRANGER, foreign(sandbox), "{}");
    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(JSON.readTree(answer.body()).path("code").asText()).isEqualTo("SANDBOX_NOT_FOUND");
    assertThat(post("ddo_nobody", foreign(sandbox), "{}").statusCode()).isEqualTo(401);
    assertThat(post("cfk_x", foreign(sandbox), "{}").statusCode()).isEqualTo(401);
    assertThat(post(Sdk.BOTH, foreign("sb-aaaaaaaaaaaaaaaaaaaa"), "{}").statusCode())
        .isEqualTo(404);
    for (String method : List.of("GET", "DELETE")) {
      HttpResponse<String> other =
          sdk.send(method, "/api/v3/sandbox/" + foreign(sandbox) + "/expose/http", Sdk.BOTH, "");
      assertThat(other.statusCode()).as(method).isEqualTo(501);
    }
  }

  @Test
  void vscodeIsExposedUnderANameOfTheSameKind() throws Exception {
    HttpResponse<String> answer =
        sdk.send("POST", "/api/v3/sandbox/" + foreign(sandbox) + "/expose/vscode", Sdk.BOTH, "{}");
    assertThat(answer.statusCode()).isEqualTo(200);
    GuestServer guest = saying(OK);
    String domain = JSON.readTree(answer.body()).path("domain").asText();
    assertThat(expose(domain, port(guest.port())).at("/result").has("ok")).isTrue();
    assertThat(ask(domain, "/", "").body()).isEqualTo("ok");
  }

  @Test
  void namesAreShownAsTheWorldFindsThem() throws Exception {
    sdk.close();
    app.close();
    start(Map.of("ports.domain", "ports.example.com", "ports.public-port", "443"));
    GuestServer guest = saying(OK);
    String id =
        mesh.sandboxes.keySet().stream().filter(other -> !other.equals(sandbox)).findAny().get();
    String domain = JSON.readTree(post(Sdk.BOTH, foreign(id), "{}").body()).path("domain").asText();
    assertThat(domain).matches("[a-z2-7]{12}-" + id.substring(3) + "\\.ports\\.example\\.com");
    assertThat(expose(domain, port(guest.port())).at("/result").has("ok")).isTrue();
    assertThat(ask(domain, "/", "").body()).isEqualTo("ok");
    assertThat(ask(domain + ":443", "/", "").body()).isEqualTo("ok");
    assertThat(ask(domain.replaceFirst("\\..*", ".localhost"), "/", "").status()).isEqualTo(421);
  }
}
