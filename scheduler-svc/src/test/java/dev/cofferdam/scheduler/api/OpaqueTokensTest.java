package dev.cofferdam.scheduler.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.Samples;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.store.Position;
import dev.cofferdam.v1.ErrorReason;
import java.util.Base64;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

class OpaqueTokensTest {
  private static final Map<String, String> FILTER = Map.of("a", "b");

  @Test
  void whatWasGivenOutIsUnderstood() {
    Position position = new Position(Samples.NOW, Samples.id(7));
    String token = OpaqueTokens.page(listing("acme", FILTER, true), position);
    assertThat(OpaqueTokens.parsePage(listing("acme", FILTER, true), Sandbox::isId, token))
        .contains(position);
    assertThat(OpaqueTokens.parsePage(listing("acme", FILTER, true), Sandbox::isId, "")).isEmpty();
    assertThat(OpaqueTokens.parseCursor("acme", OpaqueTokens.cursor("acme", 9), 9)).isEqualTo(9);
    assertThat(OpaqueTokens.parseCursor("acme", "", 9)).isZero();
  }

  @Test
  void whatBelongsElsewhereIsRefused() {
    String token =
        OpaqueTokens.page(listing("acme", FILTER, true), new Position(Samples.NOW, Samples.id(7)));
    assertInvalidPage("other", FILTER, true, token);
    assertInvalidPage("acme", Map.of(), true, token);
    assertInvalidPage("acme", FILTER, false, token);
    var mine = listing("acme", FILTER, true);
    assertInvalid(
        new OpaqueTokens.Listing("snapshots", "acme", FILTER, "true"), Sandbox::isId, token);
    assertInvalid(mine, Snapshot::isId, token);
    assertInvalidCursor("other", OpaqueTokens.cursor("acme", 9), 9);
    assertInvalidCursor("acme", OpaqueTokens.cursor("acme", 10), 9);
    assertInvalidCursor("acme", token, 9);
  }

  @Test
  void anyOtherBytesAreRefused() {
    Random random = new Random(1);
    for (int i = 0; i < 2_000; i++) {
      byte[] bytes = new byte[random.nextInt(60)];
      random.nextBytes(bytes);
      String token = Base64.getUrlEncoder().encodeToString(bytes) + (i % 7 == 0 ? "*" : "");
      if (!token.isEmpty()) {
        assertInvalidPage("acme", FILTER, true, token);
        assertInvalidCursor("acme", token, Long.MAX_VALUE);
      }
    }
  }

  private static void assertInvalidPage(
      String tenant, Map<String, String> filter, boolean ended, String token) {
    assertInvalid(listing(tenant, filter, ended), Sandbox::isId, token);
  }

  private static OpaqueTokens.Listing listing(
      String tenant, Map<String, String> filter, boolean ended) {
    return new OpaqueTokens.Listing("sandboxes", tenant, filter, String.valueOf(ended));
  }

  private static void assertInvalid(
      OpaqueTokens.Listing listing, Predicate<String> isId, String token) {
    assertThatThrownBy(() -> OpaqueTokens.parsePage(listing, isId, token))
        .isInstanceOfSatisfying(
            Refusal.class,
            e -> assertThat(e.reason()).isEqualTo(ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID));
  }

  private static void assertInvalidCursor(String tenant, String cursor, long last) {
    assertThatThrownBy(() -> OpaqueTokens.parseCursor(tenant, cursor, last))
        .isInstanceOfSatisfying(
            Refusal.class,
            e -> assertThat(e.reason()).isEqualTo(ErrorReason.ERROR_REASON_CURSOR_INVALID));
  }
}
