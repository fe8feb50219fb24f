package dev.cofferdam.edge.port;

import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.ResponseHead;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusException;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/** Answers of the edge's own. */
final class Refusal {
  private static final int UNAUTHENTICATED = 401;

  private Refusal() {}

  /** Head, body and end. */
  static List<Object> parts(HttpError error) {
    byte[] body = error.json().getBytes(StandardCharsets.UTF_8);
    Headers headers =
        Headers.of(
            "content-type",
            "application/json",
            "cache-control",
            "no-store",
            Heads.ERROR,
            error.code());
    if (error.status() == UNAUTHENTICATED) {
      headers = headers.with("www-authenticate", "Bearer realm=\"cofferdam\"");
    }
    return List.of(
        new ResponseHead(error.status(), headers, body.length),
        Unpooled.wrappedBuffer(body),
        End.plain());
  }

  static HttpError notAuthenticated() {
    return new HttpError(
        UNAUTHENTICATED,
        "TOKEN_INVALID",
        "expected a token with the scope ports, in Authorization or Proxy-Authorization: Bearer");
  }

  /** Of a name that stands for no port, or no longer for one. */
  static HttpError notExposed() {
    return new HttpError(404, "HOST_NOT_EXPOSED", "this host stands for no port of a sandbox");
  }

  static HttpError of(MalformedException malformed) {
    return switch (malformed.reason()) {
      case SYNTAX, UPGRADE -> HttpError.invalid("MALFORMED_REQUEST", malformed.text());
      case HEAD_TOO_LARGE -> new HttpError(431, "HEADERS_TOO_LARGE", malformed.text());
      case CONNECT -> new HttpError(405, "METHOD_NOT_ALLOWED", malformed.text());
      case EXTENDED_CONNECT -> HttpError.notServed(malformed.text());
    };
  }

  /** Why there is no connection to the port, or no whole answer from it. */
  static HttpError of(StatusException failure) {
    Status status = failure.getStatus();
    Optional<ErrorReason> reason = Refusals.reason(failure);
    if (status.getCode() == Status.Code.UNAUTHENTICATED) {
      return notAuthenticated();
    }
    if (reason.equals(Optional.of(ErrorReason.ERROR_REASON_PORT_CLOSED))
        || reason.equals(Optional.of(ErrorReason.ERROR_REASON_CONNECTION_RESET))) {
      return new HttpError(
          502, Refusals.name(reason.get()), String.valueOf(status.getDescription()));
    }
    if (reason.equals(Optional.of(ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING))) {
      return new HttpError(
          503, Refusals.name(reason.get()), String.valueOf(status.getDescription()));
    }
    return HttpError.of(failure);
  }
}
