package dev.cofferdam.kit.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Writes heads and chunks of HTTP/1.1. */
public final class Http1Writer {
  private Http1Writer() {}

  /** The head of a request, with what tells how long its body is. */
  public static ByteBuf request(RequestHead head, HeadValues values, ByteBufAllocator allocator) {
    ByteBuf out = allocator.directBuffer(1024);
    text(out, head.method() + " ");
    if (!values.writeTarget(out)) {
      text(out, head.target());
    }
    text(out, " HTTP/1.1\r\nHost: " + head.authority());
    text(out, "\r\n");
    List<Header> lines = head.headers().lines();
    for (int i = 0; i < lines.size(); i++) {
      text(out, lines.get(i).name() + ": ");
      if (!values.writeValue(i, out)) {
        text(out, lines.get(i).value());
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
  public static ByteBuf response(ResponseHead head, String framing, ByteBufAllocator allocator) {
    ByteBuf out = allocator.directBuffer(512);
    // The phrase is ours, never the peer's.
    String phrase = HttpResponseStatus.valueOf(head.status()).reasonPhrase();
    text(out, "HTTP/1.1 " + head.status() + " " + phrase + "\r\n");
    headers(out, head.headers());
    text(out, framing);
    text(out, "\r\n");
    return out;
  }

  public static ByteBuf chunkStart(int size, ByteBufAllocator allocator) {
    ByteBuf out = allocator.directBuffer(12);
    text(out, Integer.toHexString(size) + "\r\n");
    return out;
  }

  public static ByteBuf lastChunk(Headers trailers, ByteBufAllocator allocator) {
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

  private static void text(ByteBuf out, String text) {
    out.writeCharSequence(text, StandardCharsets.ISO_8859_1);
  }
}
