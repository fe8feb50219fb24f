package dev.cofferdam.loadtest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.List;
import org.junit.jupiter.api.Test;

class SdkClientTest {
  @Test
  void answersAreNanoseconds() throws Exception {
    assertThat(SdkClient.times("[1200000, 34]")).containsExactly(1_200_000, 34);
    assertThat(SdkClient.times("[]")).isEmpty();
  }

  @Test
  void whatTheClientPrintsBesideAnAnswerIsNone() {
    assertThatThrownBy(() -> SdkClient.times("Traceback (most recent call last):"))
        .isInstanceOf(JsonProcessingException.class);
  }

  @Test
  void theMedianTurnSpeaksForTheRest() {
    assertThat(SdkCommand.median(List.of(9.0, 1.0, 5.0))).isEqualTo(5.0);
  }
}
