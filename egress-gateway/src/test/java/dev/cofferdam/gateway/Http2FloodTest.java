package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** ATTACKS.md row 34: frames that cost a server more than they cost their sender. */
final class Http2FloodTest {
  private static final int DATA = 0;
  private static final int HEADERS = 1;
  private static final int SETTINGS = 4;
  private static final int PING = 6;
  private static final int WINDOW_UPDATE = 8;
  private static final int CONTINUATION = 9;
  private static final int END_HEADERS = 4;
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
    AtomicBoolean over = new AtomicBoolean();
    CompletableFuture<Set<String>> others = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> others.complete(askUntil(over)));
    try (RawGuest guest = harness.guest().tls("api.example.test", "h2")) {
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
    } finally {
      over.set(true);
    }
    assertThat(others.get(60, TimeUnit.SECONDS)).containsExactly("200");
  }

  /** The statuses that another guest gets meanwhile, and once it is over. */
  private static Set<String> askUntil(AtomicBoolean over) {
    Set<String> statuses = new TreeSet<>();
    try (Http2Guest other = new Http2Guest(harness, "api.example.test")) {
      boolean last;
      do {
        last = over.get();
        statuses.add(other.ask("api.example.test", "/", Map.of()));
      } while (!last);
    } catch (Exception e) {
      statuses.add(e.toString());
    }
    return statuses;
  }

  @AttackRow(34)
  @Test
  void aHeadOfEndlessContinuations() throws Exception {
    byte[] part = frame(CONTINUATION, 0, 1, new byte[] {(byte) 0x82});
    endsTheConnectionAndNoOther(frame(HEADERS, 0, 1, request()), (guest, _) -> guest.send(part));
  }

  /** Of nothing, in a request that does not end. */
  @AttackRow(34)
  @Test
  void emptyDataWithoutEnd() throws Exception {
    byte[] nothing = frame(DATA, 0, 1, new byte[0]);
    endsTheConnectionAndNoOther(
        frame(HEADERS, END_HEADERS, 1, request()), (guest, _) -> guest.send(nothing));
  }

  /** CVE-2019-9515, CVE-2019-9512: each has to be acknowledged, and nobody reads that. */
  @AttackRow(34)
  @ParameterizedTest
  @ValueSource(ints = {SETTINGS, PING})
  void whatHasToBeAcknowledged(int type) throws Exception {
    byte[] each = frame(type, 0, 0, new byte[type == PING ? 8 : 0]);
    byte[] many = new byte[each.length * 1_000];
    for (int at = 0; at < many.length; at += each.length) {
      System.arraycopy(each, 0, many, at, each.length);
    }
    endsTheConnectionAndNoOther(new byte[0], (guest, _) -> guest.send(many));
  }

  /** Over two frames: a client that keeps to the settings would not send it. */
  @AttackRow(34)
  @Test
  void aHeaderThatIsLongerThanAllowed() throws Exception {
    ByteBuffer block = ByteBuffer.allocate(20_000).put(request());
    // RFC 7541 section 6.2.2: a literal whose value has 127 and 18,000 bytes.
    block.put(new byte[] {0, 1, 'x', 0x7f, (byte) 0xd0, (byte) 0x8c, 1});
    byte[] first = new byte[16_000];
    block.get(0, first, 0, block.position());
    java.util.Arrays.fill(first, block.position(), first.length, (byte) 'a');
    byte[] rest = new byte[18_127 - (first.length - block.position())];
    java.util.Arrays.fill(rest, (byte) 'a');
    harness.upstream.received.clear();
    try (RawGuest guest = harness.guest().tls("api.example.test", "h2")) {
      guest.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").send(frame(SETTINGS, 0, 0, new byte[0]));
      guest.send(frame(HEADERS, 1, 1, first)).send(frame(CONTINUATION, END_HEADERS, 1, rest));
      // 431 is in no static table: its three digits stand in the answer's head as they are.
      assertThat(guest.until("431")).endsWith("431");
    }
    assertThat(harness.upstream.received).isEmpty();
  }

  /** RFC 7541: one large header is put into the table, and then named again and again. */
  @AttackRow(34)
  @Test
  void aBombOfIndexedHeaders() throws Exception {
    ByteBuffer block = ByteBuffer.allocate(16_000).put(request());
    // Literal with indexing, name and value of 1 and 2,000 bytes.
    block.put(new byte[] {0x40, 1, 'x', 0x7f, (byte) 0xd1, 0x0e}).put(new byte[2_000]);
    while (block.remaining() > 0) {
      block.put((byte) 0xbe);
    }
    byte[] bomb = block.array();
    for (int i = 0; i < bomb.length; i++) {
      bomb[i] = bomb[i] == 0 ? (byte) 'a' : bomb[i];
    }
    endsTheConnectionAndNoOther(
        new byte[0],
        (guest, number) ->
            guest.send(frame(HEADERS, END_STREAM_AND_HEADERS, 2 * number + 1, bomb)));
  }

  /** A head that is never finished costs no more than its connection, and that not for long. */
  @AttackRow(33)
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aHeadThatIsNeverFinishedIsNotWaitedFor(int continuations) throws Exception {
    byte[] part = frame(CONTINUATION, 0, 1, new byte[] {(byte) 0x82});
    try (RawGuest guest = harness.guest().tls("api.example.test", "h2")) {
      guest.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").send(frame(SETTINGS, 0, 0, new byte[0]));
      guest.send(frame(HEADERS, 0, 1, request()));
      for (int i = 0; i < continuations; i++) {
        guest.send(part);
      }
      assertThat(guest.hungUpOn()).isTrue();
    }
  }

  /** MadeYouReset (CVE-2025-8671): each stream breaks the protocol, so the server resets it. */
  @AttackRow(34)
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
