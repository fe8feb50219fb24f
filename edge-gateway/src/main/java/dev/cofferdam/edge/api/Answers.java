package dev.cofferdam.edge.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.linecorp.armeria.common.HttpData;
import com.linecorp.armeria.common.HttpHeaderNames;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.common.HttpStatus;
import com.linecorp.armeria.common.MediaType;
import com.linecorp.armeria.common.ResponseHeaders;
import dev.cofferdam.edge.protocol.HttpError;
import io.netty.util.AsciiString;

/** Answers as the SDKs read them. */
final class Answers {
  static final AsciiString TRACE = HttpHeaderNames.of("x-deno-trace-id");

  private Answers() {}

  static HttpResponse ok(JsonNode json) {
    return HttpResponse.of(HttpStatus.OK, MediaType.JSON_UTF_8, json.toString());
  }

  /** One page of a list. */
  static HttpResponse page(JsonNode json, String link) {
    return HttpResponse.of(
        ResponseHeaders.builder(HttpStatus.OK)
            .contentType(MediaType.JSON_UTF_8)
            .add(HttpHeaderNames.LINK, link)
            .build(),
        HttpData.ofUtf8(json.toString()));
  }

  static HttpResponse error(HttpError error) {
    return HttpResponse.of(HttpStatus.valueOf(error.status()), MediaType.JSON_UTF_8, error.json());
  }

  static HttpError internal() {
    return new HttpError(500, "INTERNAL", "the edge failed; its log has the cause");
  }
}
