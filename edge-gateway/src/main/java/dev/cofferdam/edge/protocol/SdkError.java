package dev.cofferdam.edge.protocol;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;

/**
 * What was called failed. The JavaScript SDK makes an object of the named class of it, {@code
 * Deno.errors} included; code is what system calls set.
 */
public final class SdkError extends Exception {
  private static final long serialVersionUID = 1L;

  private static final String NOT_SERVED = "NOT_SERVED";

  private final String constructor;
  private final String name;
  private final String code;

  /**
   * @param constructor a class of JavaScript's or of {@code Deno.errors}
   * @param code such as ENOENT, or a reason of Cofferdam's
   */
  public SdkError(String constructor, String code, String message) {
    this(constructor, constructor, code, message);
  }

  private SdkError(String constructor, String name, String code, String message) {
    super(message);
    this.constructor = constructor;
    this.name = name;
    this.code = code;
  }

  /** What its client gave up. JavaScript's own has a code that cannot be set. */
  public static SdkError aborted() {
    return new SdkError("DOMException", "AbortError", "", "the operation was aborted");
  }

  /** The pair by which both SDKs know that a process is no longer there. */
  public static SdkError processGone(long pid) {
    return new SdkError("TypeError", "ENOENT", "no process " + pid + " runs, it has exited");
  }

  public static SdkError notServed(String what) {
    return new SdkError("NotSupported", NOT_SERVED, what + " is not served here");
  }

  public static SdkError of(StatusException failed) {
    return of(failed, failed.getStatus());
  }

  public static SdkError of(StatusRuntimeException failed) {
    return of(failed, failed.getStatus());
  }

  private static SdkError of(Exception failed, Status status) {
    if (status.getCode() == Status.Code.UNIMPLEMENTED) {
      return new SdkError(
          "NotSupported", NOT_SERVED, "this sandbox's agent is older and does not know the call");
    }
    String said = status.getDescription();
    String message = said == null ? "the sandbox cannot be reached" : said;
    return Refusals.reason(failed)
        .map(reason -> of(reason, message))
        .orElseGet(() -> new SdkError("Error", "UNAVAILABLE", message));
  }

  public static SdkError of(ErrorReason reason, String message) {
    return switch (reason) {
      case ERROR_REASON_FILE_NOT_FOUND, ERROR_REASON_COMMAND_NOT_FOUND ->
          new SdkError("NotFound", "ENOENT", message);
      case ERROR_REASON_FILE_EXISTS -> new SdkError("AlreadyExists", "EEXIST", message);
      case ERROR_REASON_PERMISSION_DENIED_IN_GUEST ->
          new SdkError("PermissionDenied", "EACCES", message);
      case ERROR_REASON_NOT_A_DIRECTORY -> new SdkError("NotADirectory", "ENOTDIR", message);
      case ERROR_REASON_IS_A_DIRECTORY -> new SdkError("IsADirectory", "EISDIR", message);
      case ERROR_REASON_DIRECTORY_NOT_EMPTY -> new SdkError("Error", "ENOTEMPTY", message);
      case ERROR_REASON_DISK_FULL -> new SdkError("Error", "ENOSPC", message);
      case ERROR_REASON_PATH_INVALID, ERROR_REASON_INVALID_ARGUMENT ->
          new SdkError("TypeError", "EINVAL", message);
      case ERROR_REASON_QUOTA_EXCEEDED -> new SdkError("Busy", "EAGAIN", message);
      default -> new SdkError("Error", Refusals.name(reason), message);
    };
  }

  /** Whether it is an answer of the guest's, as its system calls give them, and not the mesh's. */
  public boolean ofGuest() {
    return code.matches("E[A-Z]+") || code.equals(NOT_SERVED);
  }

  public String code() {
    return code;
  }

  ObjectNode json() {
    ObjectNode json =
        Json.object()
            .put("constructorName", constructor)
            .put("name", name)
            .put("message", getMessage());
    return code.isEmpty() ? json.putNull("code") : json.put("code", code);
  }
}
