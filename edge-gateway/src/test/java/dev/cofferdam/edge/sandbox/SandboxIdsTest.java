package dev.cofferdam.edge.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.edge.protocol.HttpError;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class SandboxIdsTest {
  /** What the JavaScript SDK connects to, and nothing else. */
  private static final String DEMANDED = "sbx_([a-z]{3})_[0-9a-hjkmnp-z]{20}";

  @Test
  void everyIdHasOneOfTheirsAndBack() throws HttpError {
    for (String id :
        List.of("sb-abcdefghijklmnopqrst", "sb-uvwxyz234567iiillloo", "sb-oud4n22lji7eftllnyua")) {
      String foreign = SandboxIds.foreign("ord", id);
      assertThat(foreign).matches(DEMANDED);
      assertThat(SandboxIds.own(foreign)).isEqualTo(id);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "sb-oud4n22lji7eftllnyua",
        "sbx_ord_9bcdefghjkmnpqrstuvw",
        "sbx_ord_abcdefghijklmnopqrst",
        "sbx_ord_abcdefgh",
        "sbx_ord_../../x",
        "sbx_ORD_abcdefgh0jk1mn8pqrst"
      })
  void whatIsNoIdIsNoSandbox(String foreign) {
    assertThatThrownBy(() -> SandboxIds.own(foreign))
        .isInstanceOf(HttpError.class)
        .hasMessageContaining("no sandbox");
  }
}
