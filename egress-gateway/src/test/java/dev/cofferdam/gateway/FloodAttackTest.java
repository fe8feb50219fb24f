package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Guests that keep the gateway waiting or send it too much. */
final class FloodAttackTest extends AttackSuite {
  @AttackRow(33)
  @Test
  void aHeadThatNeverEndsIsNotWaitedFor() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send("GET / HTTP/1.1\r\nX-A: b\r\n").closed()).isTrue();
    }
    nothingLeft();
  }

  /** Each byte in time, and never the last one. */
  @AttackRow(33)
  @Test
  void aHeadThatComesByteAfterByteIsNotWaitedForLonger() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test");
        Trickle trickle = new Trickle(guest, "GET / HTTP/1.1\r\nX-A: ")) {
      assertThat(guest.hungUpOn()).isTrue();
      assertThat(trickle.sent()).isGreaterThan(1);
    }
    nothingLeft();
  }

  /** A ClientHello of 512 bytes that takes its time. */
  @AttackRow(33)
  @Test
  void aClientHelloThatComesByteAfterByteIsNotWaitedForLonger() throws Exception {
    try (RawGuest guest = harness.guest();
        Trickle trickle =
            new Trickle(guest, "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc")) {
      assertThat(guest.hungUpOn()).isTrue();
      assertThat(trickle.sent()).isPositive();
    }
    nothingLeft();
  }

  /** Nothing, the beginning of a record, and all of a handshake but its end. */
  @AttackRow(33)
  @ParameterizedTest
  @ValueSource(ints = {0, 3, 5, 100, -1})
  void aGuestThatFallsSilentIsNotWaitedFor(int length) throws Exception {
    byte[] hello = ClientHellos.of("api.example.test");
    try (RawGuest guest = harness.guest()) {
      guest.send(java.util.Arrays.copyOf(hello, length < 0 ? hello.length : length));
      assertThat(guest.hungUpOn()).isTrue();
    }
    nothingLeft();
  }

  @AttackRow(34)
  @ParameterizedTest
  @MethodSource("heads")
  void hugeHeaders(String header) throws Exception {
    refused(ask("GET / HTTP/1.1\r\n" + HOST + header + "\r\n\r\n"), 431, "headers_too_large");
  }

  static List<String> heads() {
    return List.of(
        "X-A: " + "b".repeat(20_000),
        "X".repeat(20_000) + ": b",
        "A: b\r\n".repeat(4_000) + "A: b",
        "Cookie: " + "a=b; ".repeat(5_000));
  }

  @AttackRow(34)
  @Test
  void aRequestLineWithoutEnd() throws Exception {
    refused(ask("GET /" + "a".repeat(20_000)), 431, "headers_too_large");
  }
}
