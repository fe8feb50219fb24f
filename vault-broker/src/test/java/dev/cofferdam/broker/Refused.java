package dev.cofferdam.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
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

  /** A materialisation, with the reason that the gateway tells the guest and the audit. */
  public static void assertEgressRefused(ThrowingCallable call, EgressReason reason) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> assertThat("EGRESS_REASON_" + egressReason(e)).isEqualTo(reason.name()));
  }

  static String egressReason(StatusRuntimeException e) {
    try {
      com.google.rpc.Status status = StatusProto.fromThrowable(e);
      if (status == null) {
        throw new AssertionError("no details in " + e);
      }
      for (Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          return detail.unpack(ErrorInfo.class).getMetadataOrDefault("egress_reason", "");
        }
      }
      return "";
    } catch (InvalidProtocolBufferException impossible) {
      throw new AssertionError(impossible);
    }
  }
}
