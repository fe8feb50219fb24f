package dev.cofferdam.kit.error;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RefusalsTest {
  @ParameterizedTest
  @EnumSource(
      value = ErrorReason.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"UNRECOGNIZED"})
  void everyReasonSurvivesTheWire(ErrorReason reason) {
    StatusRuntimeException status =
        Refusals.toStatus(new Refusal(reason, "size is 3, expected 4", Map.of("size", "3")));
    assertThat(Refusals.reason(status)).isEqualTo(Optional.of(reason));
    assertThat(status.getStatus().getDescription()).isEqualTo("size is 3, expected 4");
    assertThat(status.getStatus().getCode()).isNotIn(Status.Code.OK, Status.Code.UNKNOWN);
  }

  @Test
  void nothingOfAnUnexpectedCauseGetsOut() {
    StatusRuntimeException status =
        Refusals.toStatus(new IllegalStateException("password is hunter2"));
    assertThat(status.getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(status.toString() + status.getTrailers()).doesNotContain("hunter2");
  }

  @Test
  void aStatusFromFurtherDownPassesUnchanged() {
    StatusRuntimeException below =
        Refusals.toStatus(new Refusal(ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND, "no such"));
    assertThat(Refusals.toStatus(below)).isSameAs(below);
    assertThat(Refusals.reason(Status.UNAVAILABLE.asRuntimeException())).isEmpty();
  }
}
