package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Placeholders in what has to be decoded first, and in bodies. */
final class EncodingAttackTest extends AttackSuite {
  @AttackRow(11)
  @Test
  void thePasswordOfBasicCredentialsIsSwapped() throws Exception {
    String credentials = "user:" + Harness.PLACEHOLDER;
    Answer answer =
        ask(
            "GET /echo HTTP/1.1\r\n"
                + HOST
                + "Authorization: Basic "
                + Base64.getEncoder()
                    .encodeToString(credentials.getBytes(StandardCharsets.US_ASCII))
                + "\r\n\r\n");

    assertThat(answer.status()).isEqualTo(200);
    byte[] sent = ("user:" + Harness.VALUE).getBytes(StandardCharsets.US_ASCII);
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Basic " + Base64.getEncoder().encodeToString(sent));
    assertThat(answer.body()).doesNotContain(Base64.getEncoder().encodeToString(sent));
  }

  @AttackRow(11)
  @Test
  void theUsernameIsNotThePassword() throws Exception {
    String credentials = Harness.PLACEHOLDER + ":x";
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Authorization: Basic "
                + Base64.getEncoder()
                    .encodeToString(credentials.getBytes(StandardCharsets.US_ASCII))
                + "\r\n\r\n"),
        403,
        "placeholder_outside_target");
  }

  static List<String> credentials() {
    String encoded = base64("user:" + Harness.PLACEHOLDER);
    return List.of(
        "Proxy-Authorization: Basic " + encoded,
        "Authorization: Bearer " + encoded,
        "Authorization: Basic\t" + encoded,
        "X-Api-Key: " + base64(Harness.PLACEHOLDER),
        "Authorization: Basic " + base64("user;" + Harness.PLACEHOLDER));
  }

  /** Base64 that is not the password of Basic credentials. */
  @AttackRow(11)
  @ParameterizedTest
  @MethodSource("credentials")
  void base64OfAnotherKind(String header) throws Exception {
    refused(ask(get("/", header + "\r\n")), 403, "placeholder_outside_target");
  }

  @AttackRow(12)
  @ParameterizedTest
  @ValueSource(strings = {"%5F", "%255f", "\\u005f", "&#95;"})
  void anEncodedPlaceholderIsFoundInAnyPart(String underscore) throws Exception {
    String encoded = Harness.PLACEHOLDER.replace("_", underscore);
    refused(
        ask(
            "POST / HTTP/1.1\r\n"
                + HOST
                + "Content-Length: "
                + encoded.length()
                + "\r\n\r\n"
                + encoded),
        403,
        "placeholder_outside_target");
  }

  @AttackRow(12)
  @ParameterizedTest
  @ValueSource(strings = {"%5f", "%255F", "%25255f", "\\u005F", "&#x5f;"})
  void anEncodedPlaceholderIsNotSwappedInItsTargetEither(String underscore) throws Exception {
    refused(
        ask(
            get(
                "/",
                "Authorization: Bearer " + Harness.PLACEHOLDER.replace("_", underscore) + "\r\n")),
        403,
        "placeholder_outside_target");
  }

  @AttackRow(12)
  @Test
  void aPlaceholderInOtherCaseIsNoPlaceholderOfThisSandbox() throws Exception {
    refused(
        ask(
            "GET / HTTP/1.1\r\n"
                + HOST
                + "Authorization: "
                + Harness.PLACEHOLDER.replace("cofferdam", "COFFERDAM")
                + "\r\n\r\n"),
        403,
        "placeholder_foreign");
  }

  @AttackRow(13)
  @Test
  void aPackedBodyIsLookedInto() throws Exception {
    byte[] packed =
        TestUpstream.gzip(("key=" + Harness.PLACEHOLDER).getBytes(StandardCharsets.US_ASCII));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "POST / HTTP/1.1\r\n"
              + HOST
              + "Content-Encoding: gzip\r\nContent-Length: "
              + packed.length
              + "\r\n\r\n");
      refused(guest.send(packed).answer(), 403, "placeholder_outside_target");
    }
  }

  /** More than is unpacked in one turn, before it and behind it. */
  @AttackRow(13)
  @ParameterizedTest
  @ValueSource(ints = {0, 9_000_000})
  void aPackedBodyIsLookedIntoToItsEnd(int before) throws Exception {
    byte[] plain = new byte[18_000_000];
    byte[] placeholder = Harness.PLACEHOLDER.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(placeholder, 0, plain, before, placeholder.length);
    byte[] packed = TestUpstream.gzip(plain);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(packed));
      refused(guest.send(packed).answer(), 403, "placeholder_outside_target");
    }
  }

  @AttackRow(13)
  @ParameterizedTest
  @ValueSource(strings = {"br", "zstd", "deflate", "gzip, gzip", "gzip\r\nContent-Encoding: gzip"})
  void aBodyThatCannotBeLookedIntoIsRefused(String coding) throws Exception {
    refused(
        ask(
            "POST / HTTP/1.1\r\n"
                + HOST
                + "Content-Encoding: "
                + coding
                + "\r\nContent-Length: 1\r\n\r\nx"),
        415,
        "content_encoding");
  }

  static List<byte[]> notGzip() {
    byte[] whole = TestUpstream.gzip("key=value".getBytes(StandardCharsets.US_ASCII));
    byte[] otherSum = whole.clone();
    otherSum[whole.length - 5] ^= 1;
    byte[] dictionary = whole.clone();
    dictionary[2] = 7;
    byte[] behind = java.util.Arrays.copyOf(whole, whole.length + 20);
    return List.of("plain text".getBytes(StandardCharsets.US_ASCII), otherSum, dictionary, behind);
  }

  @AttackRow(13)
  @ParameterizedTest
  @MethodSource("notGzip")
  void whatIsNotTheGzipThatItSaysIsRefused(byte[] body) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(body));
      refused(guest.send(body).answer(), 415, "content_encoding");
    }
  }

  @AttackRow(14)
  @Test
  void aBombOfManyMembersIsNotUnpackedToItsEnd() throws Exception {
    // gzip members may follow one another: this one thirty times.
    byte[] member = TestUpstream.gzip(new byte[10 << 20]);
    byte[] packed = new byte[member.length * 30];
    for (int i = 0; i < 30; i++) {
      System.arraycopy(member, 0, packed, i * member.length, member.length);
    }
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(packed));
      refused(guest.send(packed).answer(), 413, "body_too_large");
    }
  }

  /** 300 MiB of nothing in one member of 300 KiB. */
  @AttackRow(14)
  @Test
  void aBombOfOneMemberIsNotUnpackedToItsEnd() throws Exception {
    byte[] packed = TestUpstream.gzip(new byte[300 << 20]);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(packed));
      refused(guest.send(packed).answer(), 413, "body_too_large");
    }
  }

  @AttackRow(14)
  @ParameterizedTest
  @ValueSource(strings = {"gzip", "x-gzip", "GZip"})
  void whatIsPackedIsSearchedByWhicheverOfItsNames(String coding) throws Exception {
    byte[] packed =
        TestUpstream.gzip(("k=" + Harness.PLACEHOLDER).getBytes(StandardCharsets.US_ASCII));
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(packed).replace("gzip", coding));
      refused(guest.send(packed).answer(), 403, "placeholder_outside_target");
    }
  }

  @Test
  void aPackedBodyThatTakesManyTurnsArrivesAsItWasAndTheNextRequestToo() throws Exception {
    byte[] packed = TestUpstream.gzip(new byte[18_000_000]);
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(packedHead(packed)).send(packed);
      guest.send("GET /next HTTP/1.1\r\n" + HOST + "\r\n");
      assertThat(guest.answer().status()).isEqualTo(200);
      assertThat(guest.answer().status()).isEqualTo(200);
    }
    assertThat(harness.upstream.received.getFirst().body())
        .isEqualTo(new String(packed, StandardCharsets.ISO_8859_1));
    assertThat(harness.upstream.received.getLast().uri()).isEqualTo("/next");
  }

  /** No target asks for its parts, and what it says of their encoding is not believed either. */
  @AttackRow(13)
  @ParameterizedTest
  @ValueSource(strings = {"base64", "8bit", "binary"})
  void aPartOfMultipartIsSearchedInWhateverEncoding(String told) throws Exception {
    String percent = Harness.PLACEHOLDER.replace("_", "%5F");
    for (String content :
        List.of(Harness.PLACEHOLDER, base64("x" + Harness.PLACEHOLDER), percent)) {
      String part =
          "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n"
              + "Content-Transfer-Encoding: "
              + told
              + "\r\n\r\n"
              + content
              + "\r\n--b--\r\n";
      refused(
          ask(post("Content-Type: multipart/form-data; boundary=b\r\n", part)),
          403,
          "placeholder_outside_target");
    }
  }

  private static String packedHead(byte[] packed) {
    return "POST / HTTP/1.1\r\n"
        + HOST
        + "Content-Encoding: gzip\r\nContent-Length: "
        + packed.length
        + "\r\n\r\n";
  }

  @AttackRow(15)
  @ParameterizedTest
  @ValueSource(ints = {60_000, 66_000, 300_000, 5_000_000})
  void aPlaceholderLateInALongBodyNeverLeavesWhole(int before) throws Exception {
    String body = "x".repeat(before) + Harness.PLACEHOLDER + "y";
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      guest.send(
          "POST / HTTP/1.1\r\n" + HOST + "Content-Length: " + body.length() + "\r\n\r\n" + body);
      refused(guest.answer(), 403, "placeholder_outside_target");
    }
  }

  static List<String> sinks() {
    return List.of(
        "Content-Type: application/json\r\n|{\"files\": {\"a\": {\"content\": \"%s\"}}}",
        "Content-Type: application/x-www-form-urlencoded\r\n|body=%s&x=y",
        "Content-Type: multipart/form-data; boundary=b\r\n|--b\r\nX: y\r\n\r\n%s\r\n--b--\r\n",
        "Content-Type: message/rfc822\r\n|Subject: %s\r\n\r\nhello",
        "Content-Type: application/grpc\r\n|\0\0\0\0007\n5%s");
  }

  /** A gist, an issue, a mail: the secret is for a header alone. */
  @AttackRow(16)
  @ParameterizedTest
  @MethodSource("sinks")
  void aHeadersSecretInABody(String request) throws Exception {
    String[] parts = request.formatted(Harness.PLACEHOLDER).split("\\|", 2);
    refused(ask(post(parts[0], parts[1])), 403, "placeholder_outside_target");
  }
}
