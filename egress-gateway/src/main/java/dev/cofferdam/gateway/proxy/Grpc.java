package dev.cofferdam.gateway.proxy;

import dev.cofferdam.kit.http.Headers;
import java.util.Locale;

/**
 * What is to be known of gRPC and of what is like it (gRPC-Web, Connect): messages that are packed
 * one by one inside the body, where Content-Encoding does not say so.
 */
final class Grpc {
  private Grpc() {}

  /** Whether this is a call, in which both sides may speak in turns. */
  static boolean is(Headers headers) {
    return headers
        .first("content-type")
        .filter(type -> type.toLowerCase(Locale.ROOT).startsWith("application/grpc"))
        .isPresent();
  }

  /** Whether messages inside may be packed, so that nobody on the way can search them. */
  static boolean packed(Headers headers) {
    return headers.lines().stream()
        .filter(line -> line.is("grpc-encoding") || line.is("connect-content-encoding"))
        .anyMatch(line -> !line.value().strip().equalsIgnoreCase("identity"));
  }

  /** Asks for an answer whose messages can be searched. */
  static Headers unpackedAnswers(Headers headers) {
    return headers.without("grpc-accept-encoding", "connect-accept-encoding");
  }
}
