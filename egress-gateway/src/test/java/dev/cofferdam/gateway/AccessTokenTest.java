package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.ErrorReason;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Values that are access tokens of the broker's, as far as the gateway has to do with them. */
final class AccessTokenTest {
  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void forget() throws Exception {
    harness.broker.refusal = Optional.empty();
    // Whatever the one before left is answered for.
    assertThat(get("/").status()).isEqualTo(200);
    harness.broker.materialised.clear();
    harness.upstream.received.clear();
  }

  private static Answer get(String path) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      return guest
          .send(
              "GET %s HTTP/1.1\r\nHost: api.example.test\r\nAuthorization: Bearer %s\r\n\r\n"
                  .formatted(path, Harness.PLACEHOLDER))
          .answer();
    }
  }

  private static boolean[] toldOf401() {
    boolean[] told = new boolean[harness.broker.materialised.size()];
    for (int i = 0; i < told.length; i++) {
      MaterializeRequest asked = harness.broker.materialised.get(i);
      told[i] = asked.getUses(0).getAfterUnauthorized();
    }
    return told;
  }

  @Test
  void after401TheBrokerIsToldOnceForTheNextUse() throws Exception {
    assertThat(get("/unauthorized").status()).isEqualTo(401);
    assertThat(get("/").status()).isEqualTo(200);
    assertThat(get("/").status()).isEqualTo(200);
    assertThat(toldOf401()).containsExactly(false, true, false);
  }

  @Test
  void aLaterAnswerThatIsNone401TakesItBack() throws Exception {
    try (RawGuest slow = harness.guest().tls("api.example.test")) {
      assertThat(get("/unauthorized").status()).isEqualTo(401);
      assertThat(get("/unauthorized").status()).isEqualTo(401);
      assertThat(get("/redirect?/").status()).isEqualTo(302);
      assertThat(slow.send("GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n").answer().status())
          .isEqualTo(200);
    }
    assertThat(get("/").status()).isEqualTo(200);
    assertThat(toldOf401()).containsExactly(false, true, true, false);
  }

  @ParameterizedTest
  @EnumSource(
      value = ErrorReason.class,
      names = {"ERROR_REASON_TOKEN_REFUSED", "ERROR_REASON_TOKEN_UNAVAILABLE"})
  void withoutATokenNothingLeavesAndTheGuestIsToldNoMoreThanThat(ErrorReason reason)
      throws Exception {
    harness.broker.refusal =
        Optional.of(new Refusal(reason, "status 401, invalid_client, at 10.0.0.7"));
    String code = reason.name().substring("ERROR_REASON_".length());
    Answer answer = get("/" + code);
    assertThat(answer.status()).isEqualTo(502);
    assertThat(answer.reason()).isEqualToIgnoringCase(code);
    assertThat(answer.body()).doesNotContain("invalid_client", "10.0.0.7");
    assertThat(harness.upstream.received).isEmpty();
    AuditEvent event = harness.broker.event(e -> e.getPath().equals("/" + code));
    assertThat(event.getReason().name()).isEqualTo("EGRESS_REASON_" + code);
  }
}
