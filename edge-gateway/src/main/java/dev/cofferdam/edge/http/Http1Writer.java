package dev.cofferdam.edge.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.nio.charset.StandardCharsets;

/** Writes heads and chunks of HTTP/1.1. */
public final class Http1Writer {
  private Http1Writer() {}

  /** The head of a request, with what tells how long its body is. */
  public static byte[] request(RequestHead head) {
    StringBuilder out = new StringBuilder(1024);
    out.append(head.method()).append(' ').append(head.target()).append(" HTTP/1.1\r\n");
    line(out, "Host", head.authority());
    for (Header header : head.headers().lines()) {
      line(out, header.name(), header.value());
    }
    if (head.bodyLength() < 0) {
      line(out, "Transfer-Encoding", "chunked");
    } else if (head.bodyLength() > 0 || mayHaveBody(head.method())) {
      line(out, "Content-Length", Long.toString(head.bodyLength()));
    }
    return out.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
  }

  private static void line(StringBuilder out, String name, String value) {
    out.append(name).append(": ").append(value).append("\r\n");
  }

  private static boolean mayHaveBody(String method) {
    return method.equals("POST") || method.equals("PUT") || method.equals("PATCH");
  }

  /**
   * @param framing the header lines that say how the body ends, each with its CRLF
   */
  static ByteBuf response(ResponseHead head, String framing, ByteBufAllocator allocator) {
    ByteBuf out = allocator.directBuffer(512);
    String phrase = HttpResponseStatus.valueOf(head.status()).reasonPhrase();
    text(out, "HTTP/1.1 " + head.status() + " " + phrase + "\r\n");
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
