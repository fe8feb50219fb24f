package dev.cofferdam.kit.error;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one place where a throwable becomes a gRPC status, and where a status becomes a reason again.
 */
public final class Refusals {
  /** Of every {@code google.rpc.ErrorInfo} that Cofferdam sends. */
  public static final String DOMAIN = "cofferdam";

  private static final String PREFIX = "ERROR_REASON_";
  private static final Logger log = LoggerFactory.getLogger(Refusals.class);

  private Refusals() {}

  /**
   * A refusal with its reason; a status from further down as it is, for its reason is already
   * there; anything else is INTERNAL with nothing of the cause in it, and logged.
   */
  public static StatusRuntimeException toStatus(Throwable throwable) {
    return switch (throwable) {
      case Refusal refusal -> withReason(refusal);
      case StatusRuntimeException status -> status;
      case StatusException status ->
          new StatusRuntimeException(status.getStatus(), status.getTrailers());
      default -> {
        log.atError().setMessage("call_failed").setCause(throwable).log();
        yield withReason(
            new Refusal(
                ErrorReason.ERROR_REASON_INTERNAL, "the service failed; its log has the cause"));
      }
    };
  }

  /** Empty where the throwable carries no status of Cofferdam's. */
  public static Optional<ErrorReason> reason(Throwable throwable) {
    com.google.rpc.Status status = StatusProto.fromThrowable(throwable);
    if (status == null) {
      return Optional.empty();
    }
    for (Any detail : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        try {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          if (info.getDomain().equals(DOMAIN)) {
            return Optional.of(ErrorReason.valueOf(PREFIX + info.getReason()));
          }
        } catch (InvalidProtocolBufferException | IllegalArgumentException e) {
          return Optional.empty();
        }
      }
    }
    return Optional.empty();
  }

  private static StatusRuntimeException withReason(Refusal refusal) {
    ErrorInfo info =
        ErrorInfo.newBuilder()
            .setDomain(DOMAIN)
            .setReason(name(refusal.reason()))
            .putAllMetadata(refusal.metadata())
            .build();
    String message = refusal.getMessage();
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code(refusal.reason()).value())
            .setMessage(message == null ? "" : message)
            .addDetails(Any.pack(info))
            .build());
  }

  /** As it stands in an {@code ErrorInfo}: {@code SANDBOX_NOT_FOUND}. */
  public static String name(ErrorReason reason) {
    return reason.name().substring(PREFIX.length());
  }

  /** The status code that goes with a reason. */
  public static Status.Code code(ErrorReason reason) {
    return switch (reason) {
      case ERROR_REASON_TOKEN_MISSING, ERROR_REASON_TOKEN_INVALID, ERROR_REASON_SSH_REFUSED ->
          Status.Code.UNAUTHENTICATED;
      case ERROR_REASON_SCOPE_MISSING,
          ERROR_REASON_PEER_NOT_ALLOWED,
          ERROR_REASON_THROUGH_SCHEDULER,
          ERROR_REASON_TICKET_INVALID,
          ERROR_REASON_GRANT_REVOKED,
          ERROR_REASON_SECRET_EXPIRED,
          ERROR_REASON_LEARNING,
          ERROR_REASON_LEARN_FORBIDDEN,
          ERROR_REASON_SIGNATURE_DATE,
          ERROR_REASON_PERMISSION_DENIED_IN_GUEST ->
          Status.Code.PERMISSION_DENIED;
      case ERROR_REASON_INVALID_ARGUMENT,
          ERROR_REASON_PAGE_TOKEN_INVALID,
          ERROR_REASON_CURSOR_INVALID,
          ERROR_REASON_SIZE_OUT_OF_RANGE,
          ERROR_REASON_ENVIRONMENT_INVALID,
          ERROR_REASON_PATH_INVALID,
          ERROR_REASON_SECRET_VALUE_INVALID,
          ERROR_REASON_BINDING_INVALID,
          ERROR_REASON_BINDING_WIDENED,
          ERROR_REASON_HOST_PATTERN_INVALID,
          ERROR_REASON_POLICY_INVALID,
          ERROR_REASON_IMAGE_INVALID ->
          Status.Code.INVALID_ARGUMENT;
      case ERROR_REASON_SANDBOX_NOT_FOUND,
          ERROR_REASON_TEMPLATE_NOT_FOUND,
          ERROR_REASON_PROCESS_NOT_FOUND,
          ERROR_REASON_COMMAND_NOT_FOUND,
          ERROR_REASON_FILE_NOT_FOUND,
          ERROR_REASON_SECRET_NOT_FOUND,
          ERROR_REASON_APPROVAL_NOT_FOUND,
          ERROR_REASON_ATTACHMENT_NOT_FOUND,
          ERROR_REASON_SNAPSHOT_NOT_FOUND,
          ERROR_REASON_VOLUME_NOT_FOUND ->
          Status.Code.NOT_FOUND;
      case ERROR_REASON_REQUEST_ID_REUSED,
          ERROR_REASON_FILE_EXISTS,
          ERROR_REASON_SECRET_EXISTS,
          ERROR_REASON_VOLUME_EXISTS,
          ERROR_REASON_HOST_TAKEN,
          ERROR_REASON_SSH_KEY_EXISTS,
          ERROR_REASON_TEMPLATE_EXISTS ->
          Status.Code.ALREADY_EXISTS;
      case ERROR_REASON_ETAG_MISMATCH, ERROR_REASON_CONNECTION_RESET -> Status.Code.ABORTED;
      case ERROR_REASON_SANDBOX_NOT_RUNNING,
          ERROR_REASON_STALE_EPOCH,
          ERROR_REASON_APPROVAL_OVER,
          ERROR_REASON_GRANT_SUSPENDED,
          ERROR_REASON_TOKEN_REFUSED,
          ERROR_REASON_NOT_A_DIRECTORY,
          ERROR_REASON_IS_A_DIRECTORY,
          ERROR_REASON_DIRECTORY_NOT_EMPTY,
          ERROR_REASON_GUEST_NOT_CONFIGURED,
          ERROR_REASON_SNAPSHOT_UNUSABLE,
          ERROR_REASON_SNAPSHOT_IN_USE,
          ERROR_REASON_VOLUME_IN_USE,
          ERROR_REASON_VOLUME_NOT_BOOTABLE,
          ERROR_REASON_TEMPLATE_NOT_READY,
          ERROR_REASON_PORT_CLOSED ->
          Status.Code.FAILED_PRECONDITION;
      case ERROR_REASON_MESSAGE_TOO_LARGE,
          ERROR_REASON_QUOTA_EXCEEDED,
          ERROR_REASON_NO_CAPACITY,
          ERROR_REASON_DISK_FULL,
          ERROR_REASON_CAP_EXCEEDED ->
          Status.Code.RESOURCE_EXHAUSTED;
      case ERROR_REASON_OUTPUT_LOST -> Status.Code.DATA_LOSS;
      case ERROR_REASON_NODE_UNAVAILABLE,
          ERROR_REASON_STORE_UNAVAILABLE,
          ERROR_REASON_TOKEN_UNAVAILABLE,
          ERROR_REASON_BROKER_UNAVAILABLE,
          ERROR_REASON_GATEWAY_UNAVAILABLE,
          ERROR_REASON_DATABASE_UNAVAILABLE ->
          Status.Code.UNAVAILABLE;
      case ERROR_REASON_SANDBOX_START_FAILED,
          ERROR_REASON_MACHINE_FAILED,
          ERROR_REASON_INTERNAL,
          ERROR_REASON_UNSPECIFIED,
          UNRECOGNIZED ->
          Status.Code.INTERNAL;
    };
  }
}
