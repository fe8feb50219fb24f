package dev.cofferdam.node.disk;

/**
 * A run of bytes of a file that are not all zero.
 *
 * @param offset in bytes
 * @param length in bytes, more than 0
 */
public record Extent(long offset, long length) {
  public Extent {
    if (offset < 0 || length <= 0) {
      throw new IllegalArgumentException(
          "extent is %d+%d, expected an offset of at least 0 and a length"
              .formatted(offset, length));
    }
  }
}
