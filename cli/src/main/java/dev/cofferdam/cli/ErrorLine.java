package dev.cofferdam.cli;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Optional;

/** What went wrong as one line: the reason from the closed list, then the message. */
final class ErrorLine {
  private static final String DOMAIN = "cofferdam";

  private ErrorLine() {}

  static String of(Throwable failure) {
    return switch (failure) {
      case StatusRuntimeException status -> of(status.getStatus(), status);
      case StatusException status -> of(status.getStatus(), status);
      case ClientException client -> flat(String.valueOf(client.getMessage()));
      default -> flat(failure.toString());
    };
  }

  /** {@code SANDBOX_NOT_FOUND}; empty where the failure carries none of Cofferdam's reasons. */
  static Optional<String> reason(Throwable failure) {
    com.google.rpc.Status status = StatusProto.fromThrowable(failure);
    if (status == null) {
      return Optional.empty();
    }
    for (Any detail : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        try {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          if (info.getDomain().equals(DOMAIN)) {
            return Optional.of(info.getReason());
          }
        } catch (InvalidProtocolBufferException e) {
          return Optional.empty();
        }
      }
    }
    return Optional.empty();
  }

  private static String of(Status status, Throwable failure) {
    String reason = reason(failure).orElse(status.getCode().name());
    String message = status.getDescription();
    if (message == null || message.isEmpty()) {
      Throwable cause = status.getCause();
      message = cause == null ? "no further detail" : cause.toString();
    }
    return flat(reason + ": " + message);
  }

  private static String flat(String text) {
    return text.replaceAll("\\s*\\R\\s*", " ");
  }
}
