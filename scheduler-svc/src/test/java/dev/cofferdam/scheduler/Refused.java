package dev.cofferdam.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Optional;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** Calls that have to be refused for one exact reason. */
final class Refused {
  private Refused() {}

  static void assertRefused(ThrowingCallable call, Status.Code code, ErrorReason reason) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(Refusals.reason(e)).as(e.toString()).isEqualTo(Optional.of(reason));
              assertThat(e.getStatus().getCode()).isEqualTo(code);
            });
  }
}
