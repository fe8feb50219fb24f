package dev.cofferdam.gateway.proxy;

import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import dev.cofferdam.kit.http.Headers;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.brotli.dec.BrotliInputStream;

/** Codings of a body that are unpacked once all of it is there, and so only within a limit. */
enum WholeCoding {
  /** RFC 7932. */
  BR {
    @Override
    InputStream over(InputStream packed) throws IOException {
      return new BrotliInputStream(packed);
    }
  },
  /**
   * RFC 8878; with the window that RFC 9659 gives it in HTTP, for more is memory for the asking.
   */
  ZSTD {
    @Override
    InputStream over(InputStream packed) throws IOException {
      return new ZstdInputStreamNoFinalizer(packed).setLongMax(MAX_WINDOW_LOG);
    }
  };

  private static final int MAX_WINDOW_LOG = 23;

  abstract InputStream over(InputStream packed) throws IOException;

  /** Empty for none, and for one on top of another. */
  static Optional<WholeCoding> of(Headers headers) {
    List<String> codings = headers.all("content-encoding");
    return codings.size() != 1
        ? Optional.empty()
        : switch (codings.getFirst().strip().toLowerCase(Locale.ROOT)) {
          case "br" -> Optional.of(BR);
          case "zstd" -> Optional.of(ZSTD);
          default -> Optional.empty();
        };
  }

  /**
   * @param most bytes that it may unpack to
   */
  byte[] unpack(byte[] packed, int most) throws RequestBody.UnreadableException {
    byte[] plain;
    try (InputStream in = over(new ByteArrayInputStream(packed))) {
      plain = in.readNBytes(most + 1);
    } catch (IOException e) {
      throw new RequestBody.UnreadableException(
          "the body is not what its Content-Encoding says", false);
    }
    if (plain.length > most) {
      throw RequestBody.tooLarge(most);
    }
    return plain;
  }
}
