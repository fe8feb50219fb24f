package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.PlaceholderUse;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The placeholders that a copy of a sandbox took over. */
final class InheritedTest {
  private static final String INHERITED =
      "cofferdam_" + "I0i1I2i3I4i5I6i7I8i9I0i1I2i3I4i5I6i7I8i9Iie";
  private static Harness harness;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
    harness.broker.secret(INHERITED, Harness.VALUE);
  }

  @AfterAll
  static void stop() throws Exception {
    harness.close();
  }

  @BeforeEach
  void inherit() throws Exception {
    apply(INHERITED);
    harness.upstream.received.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  private static int revision = 1;

  private static void apply(String... inherited) throws Exception {
    Attachment.Builder attachment = Harness.attachment(harness.port).setPolicyRevision(++revision);
    for (String placeholder : inherited) {
      attachment
          .getSecretsBuilder(0)
          .addInheritedSha256(ByteString.copyFrom(PlaceholderHash.of(placeholder).bytes()));
    }
    harness.apply(attachment.build());
  }

  private static Answer get(String... headers) throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      return guest
          .send(
              "GET /echo HTTP/1.1\r\nHost: api.example.test\r\n"
                  + String.join("\r\n", headers)
                  + "\r\n\r\n")
          .answer();
    }
  }

  @Test
  void oneBecomesTheValueAndComesBackAsTheOneThatTheGuestSent() throws Exception {
    Answer answer = get("Authorization: Bearer " + INHERITED);
    assertThat(harness.upstream.received.getFirst().header("authorization"))
        .isEqualTo("Bearer " + Harness.VALUE);
    assertThat(answer.body())
        .contains("Bearer " + INHERITED)
        .doesNotContain(Harness.VALUE, Harness.PLACEHOLDER);
    // The broker decides by the hash of what was used, and has it on record so.
    assertThat(harness.broker.materialised.getFirst().getUsesList())
        .extracting(PlaceholderUse::getPlaceholderSha256)
        .containsExactly(ByteString.copyFrom(PlaceholderHash.of(INHERITED).bytes()));
  }

  @Test
  void bothTogetherAreUnderOneCap() throws Exception {
    Answer answer = get("Authorization: " + INHERITED + " " + Harness.PLACEHOLDER);
    assertThat(answer.reason()).isEqualTo("placeholder_too_often");
    assertThat(harness.upstream.received).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
    Answer apart = get("Authorization: " + INHERITED, "X-Api-Key: " + Harness.PLACEHOLDER);
    assertThat(apart.status()).isEqualTo(200);
    assertThat(apart.body()).doesNotContain(Harness.VALUE);
  }

  @Test
  void withTheBrokersWordItIsForeignAgain() throws Exception {
    apply();
    assertThat(get("Authorization: Bearer " + INHERITED).reason()).isEqualTo("placeholder_foreign");
    assertThat(harness.upstream.received).isEmpty();
    assertThat(get("Authorization: Bearer " + Harness.PLACEHOLDER).status()).isEqualTo(200);
  }
}
