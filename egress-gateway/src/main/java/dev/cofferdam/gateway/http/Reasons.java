package dev.cofferdam.gateway.http;

import io.netty.handler.codec.http.HttpResponseStatus;

/** The phrase behind a status code: ours, never the upstream's. */
final class Reasons {
  private Reasons() {}

  static String phrase(int status) {
    return HttpResponseStatus.valueOf(status).reasonPhrase();
  }
}
