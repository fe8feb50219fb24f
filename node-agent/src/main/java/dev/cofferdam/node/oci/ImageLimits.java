package dev.cofferdam.node.oci;

/**
 * What an image may be at most.
 *
 * @param bytes of all layers together, unpacked, in bytes
 * @param entries of all layers together; each takes some 300 bytes of memory
 * @param layers their number
 */
public record ImageLimits(long bytes, int entries, int layers) {
  /** 16 GiB, 400,000 entries, 256 layers. */
  public static final ImageLimits DEFAULT = new ImageLimits(16L << 30, 400_000, 256);

  /** Of a manifest, an index or a configuration, in bytes. */
  static final int JSON = 4 << 20;

  public ImageLimits withBytes(long other) {
    return new ImageLimits(other, entries, layers);
  }

  public ImageLimits {
    if (bytes < 1 || entries < 1 || layers < 1) {
      throw new IllegalArgumentException(
          "limits of %d bytes, %d entries, %d layers; expected at least 1 each"
              .formatted(bytes, entries, layers));
    }
  }
}
