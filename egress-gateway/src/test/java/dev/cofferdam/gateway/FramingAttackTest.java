package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests that two parsers could read differently. */
final class FramingAttackTest extends AttackSuite {
  private void refusedAndClosed(String request) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      refused(guest.send(request).answer(), 400, "malformed_request");
      assertThat(guest.hungUpOn()).isTrue();
    }
  }

  static List<String> framings() {
    return List.of(
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\n" + HOST + "Content-Length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\n" + HOST + "\r\n",
        "GET / HTTP/1.1\r\nHost: api.example.test\n\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A : b\r\n\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A: b\rX-B: c\r\n\r\n",
        "GET  / HTTP/1.1\r\n" + HOST + "\r\n",
        "GET / HTTP/1.1 \r\n" + HOST + "\r\n",
        "GET / HTTP/3.0\r\n" + HOST + "\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Content-Length: 1, 1\r\n\r\nx",
        "POST / HTTP/1.1\r\n" + HOST + "Content-Length: 0x1\r\n\r\nx",
        "POST / HTTP/1.1\r\n" + HOST + "Content-Length: \r\n\r\nx",
        "POST / HTTP/1.1\r\n" + HOST + "Content-Length: 99999999999999999999\r\n\r\nx",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: \u000bchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n X-A: b\r\n" + HOST + "\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A\t: b\r\n\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A\r\n\r\n",
        "GET / HTTP/1.1\r\r\n" + HOST + "\r\n",
        "GET / HTTP/01.1\r\n" + HOST + "\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  }

  @AttackRow(7)
  @ParameterizedTest
  @MethodSource("framings")
  void ambiguousFraming(String request) throws Exception {
    refusedAndClosed(request);
  }

  static List<String> chunks() {
    return List.of(
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\n1;a=\"\r\nx\r\n0\r\n\r\n\"\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n 1\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n",
        "POST / HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-A: b\n\r\n",
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n X-A: b\r\n\r\n",
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\n00000000000000001\r\nx\r\n0\r\n\r\n");
  }

  @AttackRow(8)
  @ParameterizedTest
  @MethodSource("chunks")
  void chunksThatAreNoneOrNotOnlyThat(String request) throws Exception {
    refusedAndClosed(request);
  }

  static List<String> controls() {
    return List.of(
        "GET / HTTP/1.1\r\n" + HOST + "X-A: b\0c\r\n\r\n",
        "GET /a\0b HTTP/1.1\r\n" + HOST + "\r\n",
        "GET /a\tb HTTP/1.1\r\n" + HOST + "\r\n",
        "GET /#f HTTP/1.1\r\n" + HOST + "\r\n",
        "GET / HTTP/1.1\r\n" + HOST + ": b\r\n\r\n",
        "GET /a\u007fb HTTP/1.1\r\n" + HOST + "\r\n",
        "GET /a\u00e9 HTTP/1.1\r\n" + HOST + "\r\n",
        "GET /a\rb HTTP/1.1\r\n" + HOST + "\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-\u0001A: b\r\n\r\n",
        "GET / HTTP/1.1\r\n" + HOST + "X-A: b\u001bc\r\n\r\n",
        "G\0ET / HTTP/1.1\r\n" + HOST + "\r\n");
  }

  @AttackRow(9)
  @ParameterizedTest
  @MethodSource("controls")
  void controlCharactersInHeadOrTarget(String request) throws Exception {
    refusedAndClosed(request);
  }

  @AttackRow(10)
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7})
  void splitOverWritesTheVerdictIsTheSame(int size) throws Exception {
    String request =
        "POST / HTTP/1.1\r\n"
            + HOST
            + "Transfer-Encoding: chunked\r\n\r\n"
            + "1a\r\n"
            + Harness.PLACEHOLDER.substring(0, 26)
            + "\r\n"
            + "1b\r\n"
            + Harness.PLACEHOLDER.substring(26)
            + "\r\n0\r\n\r\n";
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      // Each write is a TLS record of its own. The last one may meet a closed door.
      for (int at = 0; at < request.length(); at += size) {
        guest.send(request.substring(at, Math.min(request.length(), at + size)));
      }
      refused(guest.answer(), 403, "placeholder_outside_target");
    }
  }

  @AttackRow(10)
  @Test
  void thePipelinedSecondRequestIsJudgedLikeTheFirst() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "GET /first HTTP/1.1\r\n"
              + HOST
              + "\r\nGET /second HTTP/1.1\r\n"
              + HOST
              + "User-Agent: "
              + Harness.PLACEHOLDER
              + "\r\n\r\n");

      assertThat(guest.answer().status()).isEqualTo(200);
      assertThat(guest.answer().reason()).isEqualTo("placeholder_outside_target");
    }
    assertThat(harness.upstream.received).hasSize(1);
  }

  /** The gateway says it, since it wants to see the body before the upstream sees anything. */
  @Test
  void whoWaitsToBeToldToContinueIsTold() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "POST / HTTP/1.1\r\n" + HOST + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
      assertThat(guest.until("\r\n\r\n")).isEqualTo("HTTP/1.1 100 Continue\r\n\r\n");
      assertThat(guest.send("hello").answer().status()).isEqualTo(200);
    }
    assertThat(harness.upstream.received.getFirst().body()).isEqualTo("hello");
    assertThat(harness.upstream.received.getFirst().header("expect")).isEmpty();
  }

  @AttackRow(10)
  @Test
  void aBodyBehindA100IsSearchedLikeAnother() throws Exception {
    String body = Harness.PLACEHOLDER;
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(post("Expect: 100-continue\r\n", body).replace(body, ""));
      guest.until("\r\n\r\n");
      refused(guest.send(body).answer(), 403, "placeholder_outside_target");
    }
  }

  @ParameterizedTest
  @CsvSource({"GET, 0", "HEAD, 0", "POST, 5"})
  void ordinaryRequestsOfEveryKindPass(String method, int length) throws Exception {
    Answer answer =
        ask(
            method
                + " / HTTP/1.1\r\n"
                + HOST
                + (length > 0 ? "Content-Length: " + length + "\r\n" : "")
                + "Connection: close\r\n\r\n"
                + "x".repeat(length));

    assertThat(answer.status()).isEqualTo(200);
    assertThat(harness.upstream.received.getFirst().body()).isEqualTo("x".repeat(length));
  }
}
