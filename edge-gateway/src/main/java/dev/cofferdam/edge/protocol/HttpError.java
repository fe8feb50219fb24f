package dev.cofferdam.edge.protocol;

import dev.cofferdam.kit.error.Refusals;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;

/** A request that is answered with an error, as both SDKs read it: a status, a code, a message. */
public final class HttpError extends Exception {
  private static final long serialVersionUID = 1L;

  private final int status;
  private final String code;

  public HttpError(int status, String code, String message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** The code by which the JavaScript SDK throws its InvalidTokenError. */
  public static HttpError invalidToken() {
    return new HttpError(
        401,
        "INVALID_TOKEN",
        "the token is not known here, expected ddo_<token>[.<secrets token>]");
  }

  public static HttpError invalid(String code, String message) {
    return new HttpError(400, code, message);
  }

  public static HttpError sandboxNotFound(String id) {
    return new HttpError(404, "SANDBOX_NOT_FOUND", "there is no sandbox " + id);
  }

  public static HttpError notServed(String what) {
    return new HttpError(501, "NOT_SERVED", what + " is not served here");
  }

  public static HttpError of(StatusException failure) {
    return of(failure, failure.getStatus());
  }

  public static HttpError of(StatusRuntimeException failure) {
    return of(failure, failure.getStatus());
  }

  private static HttpError of(Exception failure, Status status) {
    if (status.getCode() == Status.Code.UNAUTHENTICATED) {
      return invalidToken();
    }
    int http =
        switch (status.getCode()) {
          case INVALID_ARGUMENT, OUT_OF_RANGE -> 400;
          case PERMISSION_DENIED -> 403;
          case NOT_FOUND -> 404;
          case ALREADY_EXISTS, FAILED_PRECONDITION, ABORTED -> 409;
          case RESOURCE_EXHAUSTED -> 429;
          case UNIMPLEMENTED -> 501;
          case UNAVAILABLE -> 503;
          case DEADLINE_EXCEEDED -> 504;
          default -> 500;
        };
    String description = status.getDescription();
    return new HttpError(
        http,
        Refusals.reason(failure).map(Refusals::name).orElse(status.getCode().name()),
        description == null ? "the mesh cannot be reached" : description);
  }

  public int status() {
    return status;
  }

  public String code() {
    return code;
  }

  public String json() {
    return Json.object().put("code", code).put("message", getMessage()).toString();
  }
}
