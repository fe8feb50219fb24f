package dev.cofferdam.kit.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;

/** Whatever comes: however it is cut it is the same, and written anew it is still the same. */
public final class Http1RequestsFuzz {
  private static final int MAX_HEAD = 16 << 10;

  private Http1RequestsFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    for (Http1Parser.OtherUpgrades upgrades : Http1Parser.OtherUpgrades.values()) {
      String whole = ParsedText.of(Http1Parser.requests(MAX_HEAD, upgrades), input, input.length);
      String inPieces = ParsedText.of(Http1Parser.requests(MAX_HEAD, upgrades), input, 1);
      if (!whole.equals(inPieces)) {
        throw new AssertionError("whole: " + whole + "\nin pieces: " + inPieces);
      }
      ByteBuf in = Unpooled.wrappedBuffer(input);
      try {
        if (Http1Parser.requests(MAX_HEAD, upgrades).next(in) instanceof RequestHead head) {
          again(head);
        }
      } catch (MalformedException e) {
        // As it should be.
      }
    }
  }

  /** What leaves must be what was judged, for any other parser too. */
  private static void again(RequestHead head) {
    RequestHead leaving = head.with(head.headers().endToEnd());
    ByteBuf bytes = Http1Writer.request(leaving, HeadValues.NONE, ByteBufAllocator.DEFAULT);
    String text = bytes.toString(StandardCharsets.ISO_8859_1);
    try {
      Object read =
          Http1Parser.requests(2 * MAX_HEAD, Http1Parser.OtherUpgrades.REFUSED).next(bytes);
      if (!(read instanceof RequestHead second)
          || bytes.isReadable()
          || !second.method().equals(head.method())
          || !second.authority().equals(head.authority())
          || !second.target().equals(head.target())
          || second.bodyLength() != head.bodyLength()
          || !second.headers().endToEnd().equals(leaving.headers())) {
        throw new AssertionError("written as " + text + "\nread as " + read);
      }
    } catch (MalformedException e) {
      throw new AssertionError("written as " + text, e);
    } finally {
      bytes.release();
    }
  }
}
