package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Streams of one HTTP/2 connection that are not taken, and what is left for the others. */
@Timeout(120)
final class Http2WindowTest {
  /** As many as may stand still beside one that moves, docs/SPECIFICATION.md. */
  private static final int SLOW = 15;

  private static final int WIDE = 4 << 20;
  private static final int NARROW = 458_753;

  /** Requests beside the slow ones during which these come to a halt. */
  private static final int BESIDE = 100;

  private Harness harness;

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, true);
  }

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  private Http2Guest guest() throws Exception {
    return new Http2Guest(harness, "api.example.test");
  }

  private static byte[] body(int length) {
    return "x".repeat(length).getBytes(StandardCharsets.US_ASCII);
  }

  @Test
  void answersThatAreNotTakenHoldUpNoOther() throws Exception {
    try (Http2Guest guest = guest()) {
      guest.widen();
      for (int i = 0; i < SLOW; i++) {
        guest.takesNothing("/long/100");
      }
      for (int i = 0; i < BESIDE; i++) {
        assertThat(guest.body("/body", body(100))).hasSize(100);
      }
      assertThat(guest.body("api.example.test", "/large", Map.of())).hasSize(4 << 20);
      assertThat(harness.upstream.connections).hasValue(1);
      // Nobody but the test takes them: what is held of each is bounded.
      assertThat(harness.upstream.longBodies.given.get()).isLessThan((long) SLOW * (2 << 20));
    }
  }

  @Test
  void bodiesThatTheUpstreamDoesNotTakeHoldUpNoOther() throws Exception {
    try (Http2Guest guest = guest()) {
      for (int i = 0; i < SLOW; i++) {
        guest.sends("/take", body(2 << 20));
      }
      for (int i = 0; i < BESIDE; i++) {
        assertThat(guest.body("/body", body(1000))).hasSize(1000);
      }
      assertThat(guest.body("/body", body(4 << 20))).hasSize(4 << 20);
      assertThat(harness.upstream.connections).hasValue(1);
      harness.upstream.longBodies.mayTake.release(SLOW);
    }
  }

  /** Else each of hundreds of connections could have megabytes held for it. */
  @Test
  void oneSandboxHasSoManyWideConnectionsAndNoMore() throws Exception {
    List<Http2Guest> guests = new ArrayList<>();
    try {
      List<Integer> windows = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        guests.add(guest());
        windows.add(said(guests.getLast()));
      }
      // Some of the sixteen are the gateway's own, to the upstream: one for each of its threads.
      assertThat(windows.subList(0, 8)).containsOnly(WIDE);
      assertThat(windows.subList(16, 20)).containsOnly(NARROW);
      assertThat(windows).isSortedAccordingTo(Comparator.reverseOrder());

      while (!guests.isEmpty()) {
        guests.removeLast().close();
      }
      long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
      int window = NARROW;
      while (window == NARROW && System.nanoTime() < end) {
        try (Http2Guest next = guest()) {
          window = said(next);
        }
      }
      assertThat(window).as("after those have ended").isEqualTo(WIDE);
    } finally {
      for (Http2Guest guest : guests) {
        guest.close();
      }
    }
  }

  /** By the time of an answer all was said that stands at the beginning. */
  private static int said(Http2Guest guest) throws Exception {
    assertThat(guest.ask("api.example.test", "/", Map.of())).isEqualTo("200");
    return guest.window();
  }
}
