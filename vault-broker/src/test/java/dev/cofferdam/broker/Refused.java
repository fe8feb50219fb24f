package dev.cofferdam.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Optional;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** What has to be refused for one exact reason. */
public final class Refused {
  private Refused() {}

  /** Over the wire. */
  public static void assertRefused(ThrowingCallable call, Status.Code code, ErrorReason reason) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(Refusals.reason(e)).as(e.toString()).isEqualTo(Optional.of(reason));
              assertThat(e.getStatus().getCode()).isEqualTo(code);
            });
  }

  /** In the process. */
  public static void assertRefused(ThrowingCallable call, ErrorReason reason) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            Refusal.class, e -> assertThat(e.reason()).as(e.getMessage()).isEqualTo(reason));
  }
}
