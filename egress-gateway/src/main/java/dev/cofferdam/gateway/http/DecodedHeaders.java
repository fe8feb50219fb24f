package dev.cofferdam.gateway.http;

import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http2.DefaultHttp2HeadersDecoder;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.util.AsciiString;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * An answer's headers as Netty's HPACK decoder leaves them: each text in an array of its own on the
 * heap. Where a server echoes a secret, that array is zeroed once its clean form is known; no table
 * holds it, as the connection allows the server none (RFC 7541 section 4.2).
 */
final class DecodedHeaders {
  private static final int STATIC_ENTRIES = 61;

  /** What all connections share; to zero one of these would change the headers of everybody. */
  private static final List<byte[]> STATIC_TABLE = staticTable();

  private DecodedHeaders() {}

  /**
   * The headers without pseudo-headers, each name and value scrubbed; theirs must not be read
   * after.
   */
  static Headers scrubbed(Http2Headers from, Scrubber scrubber, ByteBufAllocator allocator) {
    List<Header> lines = new ArrayList<>(from.size());
    for (Map.Entry<CharSequence, CharSequence> entry : from) {
      if (entry.getKey().charAt(0) != ':') {
        lines.add(
            new Header(
                clean(entry.getKey(), scrubber, allocator),
                clean(entry.getValue(), scrubber, allocator)));
      }
    }
    return new Headers(lines);
  }

  private static String clean(CharSequence text, Scrubber scrubber, ByteBufAllocator allocator) {
    AsciiString decoded = AsciiString.of(text);
    ByteBuf raw = Unpooled.wrappedBuffer(decoded.array(), decoded.arrayOffset(), decoded.length());
    ByteBuf clean = scrubber.whole(raw.retainedDuplicate(), allocator);
    try {
      if (!clean.equals(raw) && !shared(decoded)) {
        int start = decoded.arrayOffset();
        Arrays.fill(decoded.array(), start, start + decoded.length(), (byte) 0);
      }
      return clean.toString(StandardCharsets.ISO_8859_1);
    } finally {
      clean.release();
      raw.release();
    }
  }

  @SuppressWarnings("ReferenceEquality") // the very array, not one that holds the same
  private static boolean shared(AsciiString decoded) {
    return STATIC_TABLE.stream().anyMatch(array -> array == decoded.array());
  }

  /** Netty does not show its table, but its decoder gives an entry away for each index. */
  private static List<byte[]> staticTable() {
    List<byte[]> arrays = new ArrayList<>();
    DefaultHttp2HeadersDecoder decoder = new DefaultHttp2HeadersDecoder(false);
    for (int index = 1; index <= STATIC_ENTRIES; index++) {
      // RFC 7541 section 6.1: an indexed header field is its index with the first bit set.
      ByteBuf block = Unpooled.wrappedBuffer(new byte[] {(byte) (0x80 | index)});
      try {
        for (Map.Entry<CharSequence, CharSequence> entry : decoder.decodeHeaders(1, block)) {
          arrays.add(AsciiString.of(entry.getKey()).array());
          arrays.add(AsciiString.of(entry.getValue()).array());
        }
      } catch (Http2Exception e) {
        throw new IllegalStateException("no static header at index " + index, e);
      } finally {
        block.release();
      }
    }
    return arrays;
  }
}
