package dev.cofferdam.node.oci;

import com.github.luben.zstd.ZstdIOException;
import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * Unpacks layers to plain tar archives, and stops where they grow larger than allowed: a few MB of
 * zeros pack to nothing. Not safe for use by several threads.
 */
final class LayerUnpacker {
  private static final int BUFFER = 1 << 16;
  private static final int MAGIC = 4;

  /**
   * Logarithm of the window in bytes, which a frame asks its decoder to keep in memory: 8 MiB are
   * what every decoder is to have (RFC 8878, 3.1.1.1.2) and what zstd's levels up to 19 ask for.
   */
  private static final int MAX_WINDOW_LOG = 23;

  private final long allowed;
  private long left;

  /**
   * @param bytes of all layers together, unpacked
   */
  LayerUnpacker(long bytes) {
    this.allowed = bytes;
    this.left = bytes;
  }

  /**
   * @param target is made
   * @throws ImageException for what is too large, or not what its digests say
   */
  void unpack(OciImage image, OciImage.Layer layer, Path target) throws IOException {
    MessageDigest packed = Digest.sha256();
    MessageDigest unpacked = Digest.sha256();
    try (InputStream blob = new DigestInputStream(image.blobs().open(layer.name()), packed);
        OutputStream out = Files.newOutputStream(target, StandardOpenOption.CREATE_NEW)) {
      InputStream in = new BufferedInputStream(blob, BUFFER);
      try (InputStream plain = plain(in)) {
        copy(plain, unpacked, out);
        // Behind the end there may be more that the digest covers.
        long rest = in.transferTo(OutputStream.nullOutputStream());
        if (rest > left) {
          throw new ImageException(
              "layer %s has %d bytes behind its end".formatted(layer.name(), rest));
        }
      }
    } catch (ZipException | ZstdIOException | java.io.EOFException e) {
      throw new ImageException("layer " + layer.name() + " is broken: " + e.getMessage(), e);
    }
    require(layer, "is", Digest.of(packed), layer.packed().orElse(null));
    require(layer, "unpacks to", Digest.of(unpacked), layer.unpacked());
  }

  private void copy(InputStream in, MessageDigest digest, OutputStream out) throws IOException {
    byte[] buffer = new byte[BUFFER];
    for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
      left -= count;
      if (left < 0) {
        throw new ImageException(
            "its layers are larger than allowed when unpacked: more than %d bytes"
                .formatted(allowed));
      }
      digest.update(buffer, 0, count);
      out.write(buffer, 0, count);
    }
  }

  /** By what it begins with: a media type is only what somebody says. */
  private static InputStream plain(InputStream in) throws IOException {
    in.mark(MAGIC);
    byte[] magic = in.readNBytes(MAGIC);
    in.reset();
    if (magic.length >= 2 && magic[0] == 0x1f && magic[1] == (byte) 0x8b) {
      return new GZIPInputStream(in, BUFFER);
    }
    if (magic.length == MAGIC
        && magic[0] == 0x28
        && magic[1] == (byte) 0xb5
        && magic[2] == 0x2f
        && magic[3] == (byte) 0xfd) {
      return new ZstdInputStreamNoFinalizer(in).setLongMax(MAX_WINDOW_LOG);
    }
    return in;
  }

  private static void require(
      OciImage.Layer layer, String what, Digest found, @Nullable Digest expected)
      throws ImageException {
    if (expected != null && !found.equals(expected)) {
      throw new ImageException(
          "layer %s %s %s, expected %s".formatted(layer.name(), what, found, expected));
    }
  }
}
