package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ATTACKS.md row 34: frames that cost a server more than they cost their sender. */
final class Http2FloodTest {
  private static final int HEADERS = 1;
  private static final int SETTINGS = 4;
  private static final int WINDOW_UPDATE = 8;
  private static final int CONTINUATION = 9;
  private static final int END_STREAM_AND_HEADERS = 5;
  private static final int MANY = 5_000;

  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, true);
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  private interface Flood {
    void send(RawGuest guest, int number) throws IOException;
  }

  private static byte[] frame(int type, int flags, int stream, byte[] payload) {
    return ByteBuffer.allocate(9 + payload.length)
        .putShort((short) (payload.length >> 8))
        .put((byte) payload.length)
        .put((byte) type)
        .put((byte) flags)
        .putInt(stream)
        .put(payload)
        .array();
  }

  /** GET https://api.example.test/ in HPACK (RFC 7541). */
  private static byte[] request() {
    byte[] authority = "api.example.test".getBytes(StandardCharsets.US_ASCII);
    return ByteBuffer.allocate(5 + authority.length)
        .put(new byte[] {(byte) 0x82, (byte) 0x87, (byte) 0x84, 0x41, (byte) authority.length})
        .put(authority)
        .array();
  }

  private static void endsTheConnectionAndNoOther(byte[] first, Flood flood) throws Exception {
    try (Http2Guest other = new Http2Guest(harness, "api.example.test");
        RawGuest guest = harness.guest().tls("api.example.test", "h2")) {
      guest.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").send(frame(SETTINGS, 0, 0, new byte[0]));
      guest.send(first);
      try {
        for (int number = 0; number < MANY; number++) {
          flood.send(guest, number);
        }
      } catch (IOException e) {
        // It was hung up on before it was done.
      }
      assertThat(guest.hungUpOn()).isTrue();
      assertThat(other.ask("api.example.test", "/", Map.of())).isEqualTo("200");
    }
  }

  @Test
  void aHeadOfEndlessContinuations() throws Exception {
    byte[] part = frame(CONTINUATION, 0, 1, new byte[] {(byte) 0x82});
    endsTheConnectionAndNoOther(frame(HEADERS, 0, 1, request()), (guest, _) -> guest.send(part));
  }

  /** MadeYouReset (CVE-2025-8671): each stream breaks the protocol, so the server resets it. */
  @Test
  void streamsThatMakeTheServerResetThem() throws Exception {
    endsTheConnectionAndNoOther(
        new byte[0],
        (guest, number) ->
            guest
                .send(frame(HEADERS, END_STREAM_AND_HEADERS, 2 * number + 1, request()))
                .send(frame(WINDOW_UPDATE, 0, 2 * number + 1, new byte[4])));
  }
}
