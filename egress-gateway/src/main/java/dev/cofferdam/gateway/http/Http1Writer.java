package dev.cofferdam.gateway.http;

import dev.cofferdam.gateway.scrub.SecretValue;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Writes heads and chunks of HTTP/1.1. */
final class Http1Writer {
  private Http1Writer() {}

  static ByteBuf request(OutgoingRequest request, ByteBufAllocator allocator) {
    RequestHead head = request.head();
    ByteBuf out = allocator.directBuffer(1024);
    text(out, head.method() + " ");
    if (request.target().isPresent()) {
      request.target().get().writeTo(out);
    } else {
      text(out, head.target());
    }
    text(out, " HTTP/1.1\r\nHost: " + head.authority());
    text(out, "\r\n");
    List<Header> lines = head.headers().lines();
    for (int i = 0; i < lines.size(); i++) {
      text(out, lines.get(i).name() + ": ");
      @Nullable SecretValue sealed = request.sealed().get(i);
      if (sealed == null) {
        text(out, lines.get(i).value());
      } else {
        sealed.writeTo(out);
      }
      text(out, "\r\n");
    }
    if (head.bodyLength() < 0) {
      text(out, "Transfer-Encoding: chunked\r\n");
    } else if (head.bodyLength() > 0 || mayHaveBody(head.method())) {
      text(out, "Content-Length: " + head.bodyLength() + "\r\n");
    }
    text(out, "\r\n");
    return out;
  }

  private static boolean mayHaveBody(String method) {
    return method.equals("POST") || method.equals("PUT") || method.equals("PATCH");
  }

  /**
   * @param framing the header lines that say how the body ends, each with its CRLF
   */
  static ByteBuf response(ResponseHead head, String framing, ByteBufAllocator allocator) {
    ByteBuf out = allocator.directBuffer(512);
    text(out, "HTTP/1.1 " + head.status() + " " + Reasons.phrase(head.status()) + "\r\n");
    headers(out, head.headers());
    text(out, framing);
    text(out, "\r\n");
    return out;
  }

  static ByteBuf chunkStart(int size, ByteBufAllocator allocator) {
    ByteBuf out = allocator.directBuffer(12);
    text(out, Integer.toHexString(size) + "\r\n");
    return out;
  }

  static ByteBuf lastChunk(Headers trailers, ByteBufAllocator allocator) {
    ByteBuf out = allocator.directBuffer(64);
    text(out, "0\r\n");
    headers(out, trailers);
    text(out, "\r\n");
    return out;
  }

  private static void headers(ByteBuf out, Headers headers) {
    for (Header line : headers.lines()) {
      text(out, line.name() + ": " + line.value() + "\r\n");
    }
  }

  static void text(ByteBuf out, String text) {
    out.writeCharSequence(text, StandardCharsets.ISO_8859_1);
  }
}
