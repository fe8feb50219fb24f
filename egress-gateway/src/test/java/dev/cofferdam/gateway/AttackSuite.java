package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.Verdict;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * Attacks from a raw socket at a sandbox's slot on a running gateway. Unless a test says otherwise
 * nothing reached the upstream, no value was asked for, and the event tells the reason.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class AttackSuite {
  static final String HOST = "Host: api.example.test\r\n";
  static final String BEARER = "Authorization: Bearer " + Harness.PLACEHOLDER + "\r\n";

  private final boolean http2;
  Harness harness;

  AttackSuite() {
    this(false);
  }

  /**
   * @param http2 whether the upstream speaks it, so that guests are offered it
   */
  AttackSuite(boolean http2) {
    this.http2 = http2;
  }

  @BeforeAll
  void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, http2);
  }

  @AfterAll
  void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() {
    harness.upstream.received.clear();
    harness.upstream.heard.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  @AfterEach
  void restore() throws Exception {
    harness.broker.away = false;
    harness.nanos.set(0L);
    harness.asked.set(InetAddress.getByName("198.18.77.1"));
  }

  /** In TLS, to api.example.test. */
  Answer ask(String request) throws IOException {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      return guest.send(request).answer();
    }
  }

  Answer inCleartext(String request) throws IOException {
    try (RawGuest guest = harness.guest()) {
      return guest.send(request).answer();
    }
  }

  /**
   * @param headers each with its CRLF
   */
  static String get(String target, String headers) {
    return "GET " + target + " HTTP/1.1\r\n" + HOST + headers + "\r\n";
  }

  /**
   * @param headers each with its CRLF
   */
  static String post(String headers, String body) {
    return "POST / HTTP/1.1\r\n"
        + HOST
        + headers
        + "Content-Length: "
        + body.length()
        + "\r\n\r\n"
        + body;
  }

  static String base64(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  void refused(Answer answer, int status, String reason) throws Exception {
    assertThat(answer.reason()).isEqualTo(reason);
    assertThat(answer.status()).isEqualTo(status);
    assertThat(answer.body()).contains("\"reason\": \"" + reason + "\"");
    nothingLeft();
    // By its reason: what the test before this one caused may be told as late as now.
    AuditEvent event =
        harness.broker.event(e ->
            e.getVerdict() == Verdict.VERDICT_DENIED
                && e.getReason().name().equalsIgnoreCase("EGRESS_REASON_" + reason));
    assertThat(event.getSandbox()).isEqualTo("sb-1");
  }

  void nothingLeft() {
    assertThat(harness.upstream.received).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
  }
}
