package dev.cofferdam.kit.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;

/** What a parser makes of some bytes, in words in which the cuts between parts do not show. */
final class ParsedText {
  private ParsedText() {}

  /**
   * @param size of the pieces that it is given one after the other
   */
  static String of(Http1Parser parser, byte[] input, int size) {
    StringBuilder out = new StringBuilder();
    ByteBuf in = Unpooled.buffer(Math.max(1, input.length));
    try {
      for (int at = 0; at < input.length; at += size) {
        in.writeBytes(input, at, Math.min(size, input.length - at));
        for (Object part = parser.next(in); part != null; part = parser.next(in)) {
          if (part instanceof ByteBuf data) {
            out.append(data.toString(StandardCharsets.ISO_8859_1));
            data.release();
          } else {
            out.append('<').append(part).append('>');
          }
        }
      }
      out.append(parser.closed()).append(parser.inMessage());
    } catch (MalformedException e) {
      // With what status depends on what was there to be looked at.
      out.append("<refused>");
    } finally {
      in.release();
    }
    return out.toString();
  }
}
