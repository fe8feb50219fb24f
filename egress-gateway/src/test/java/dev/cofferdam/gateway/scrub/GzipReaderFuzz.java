package dev.cofferdam.gateway.scrub;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.GZIPInputStream;

/** Whatever is said to be gzip: what the JDK unpacks is unpacked to the same, however it is cut. */
public final class GzipReaderFuzz {
  private static final int MAX = 1 << 20;

  private GzipReaderFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    Optional<byte[]> whole = read(input, Math.max(1, input.length));
    Optional<byte[]> inPieces = read(input, 3);
    if (whole.isPresent() != inPieces.isPresent()
        || (whole.isPresent() && !Arrays.equals(whole.get(), inPieces.get()))) {
      throw new AssertionError("cut in pieces it is another: " + whole + " " + inPieces);
    }
    Optional<byte[]> jdk = jdk(input);
    if (whole.isPresent() && jdk.isPresent() && !Arrays.equals(whole.get(), jdk.get())) {
      throw new AssertionError("the JDK reads something else");
    }
  }

  /** Empty where it is refused, or too much. */
  private static Optional<byte[]> read(byte[] input, int size) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GzipReader reader = new GzipReader()) {
      for (int at = 0; at < input.length; at += size) {
        reader.feed(Unpooled.copiedBuffer(input, at, Math.min(size, input.length - at)));
        for (Optional<ByteBuf> piece = reader.next(ByteBufAllocator.DEFAULT);
            piece.isPresent();
            piece = reader.next(ByteBufAllocator.DEFAULT)) {
          byte[] bytes = new byte[piece.get().readableBytes()];
          piece.get().readBytes(bytes).release();
          out.writeBytes(bytes);
          if (out.size() > MAX) {
            return Optional.empty();
          }
        }
      }
      return reader.complete() ? Optional.of(out.toByteArray()) : Optional.empty();
    } catch (GzipReader.CorruptException e) {
      return Optional.empty();
    }
  }

  private static Optional<byte[]> jdk(byte[] input) {
    try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(input))) {
      return Optional.of(in.readNBytes(MAX));
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
