package dev.cofferdam.node.disk;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Files that are mostly holes. What is worth copying is found once, by reading; a copy then touches
 * only that. {@link FileChannel#transferTo} is copy_file_range(2) on Linux, which shares blocks
 * where the file system can.
 */
public final class SparseFile {
  private static final int BLOCK = 4096;
  private static final int WINDOW = 1 << 20;

  private SparseFile() {}

  /** Everything of the file that is not zero, in blocks of 4 KiB, neighbours joined. */
  public static List<Extent> extents(Path file) throws IOException {
    List<Extent> extents = new ArrayList<>();
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
      ByteBuffer window = ByteBuffer.allocateDirect(WINDOW);
      ByteBuffer zeros = ByteBuffer.allocateDirect(BLOCK);
      long size = channel.size();
      long begin = -1;
      for (long at = 0; at < size; at += WINDOW) {
        int length = (int) Math.min(WINDOW, size - at);
        read(channel, window, at, length);
        for (int block = 0; block < length; block += BLOCK) {
          int bytes = Math.min(BLOCK, length - block);
          boolean zero = window.slice(block, bytes).mismatch(zeros.slice(0, bytes)) < 0;
          if (zero && begin >= 0) {
            extents.add(new Extent(begin, at + block - begin));
            begin = -1;
          } else if (!zero && begin < 0) {
            begin = at + block;
          }
        }
      }
      if (begin >= 0) {
        extents.add(new Extent(begin, size - begin));
      }
    }
    return List.copyOf(extents);
  }

  /**
   * A new file of that many zero bytes, none of them on disk, readable and writable by owner and
   * group.
   */
  public static FileChannel create(Path file, long size) throws IOException {
    FileChannel channel =
        FileChannel.open(
            file,
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-rw----")));
    if (size > 0) {
      channel.write(ByteBuffer.allocate(1), size - 1);
    }
    return channel;
  }

  /** Makes a file longer, by a hole; one that is that long already stays. */
  public static void extend(Path file, long size) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS)) {
      if (channel.size() < size) {
        channel.write(ByteBuffer.allocate(1), size - 1);
      }
    }
  }

  /** Copies these parts of a file to the same places of another. */
  public static void copy(Path source, List<Extent> extents, FileChannel target)
      throws IOException {
    try (FileChannel from =
        FileChannel.open(source, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
      for (Extent extent : extents) {
        target.position(extent.offset());
        long done = 0;
        while (done < extent.length()) {
          long count = from.transferTo(extent.offset() + done, extent.length() - done, target);
          if (count <= 0) {
            throw new IOException(
                "%s ends at %d, expected data up to %d"
                    .formatted(source, extent.offset() + done, extent.offset() + extent.length()));
          }
          done += count;
        }
      }
    }
  }

  /**
   * A copy without the holes, which is not durable yet.
   *
   * @throws IOException also when the source is no plain file: it may lie where a VMM writes
   */
  public static List<Extent> copyInCache(Path source, Path target) throws IOException {
    BasicFileAttributes found =
        Files.readAttributes(source, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    if (!found.isRegularFile()) {
      throw new IOException(source + " is no plain file");
    }
    List<Extent> extents = extents(source);
    try (FileChannel channel = create(target, found.size())) {
      copy(source, extents, channel);
    }
    return extents;
  }

  /** Makes a file's content, or a directory's names, durable. */
  public static void sync(Path path) throws IOException {
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
      channel.force(true);
    }
  }

  /** A durable copy without the holes. */
  public static List<Extent> copy(Path source, Path target) throws IOException {
    List<Extent> extents = extents(source);
    try (FileChannel channel = create(target, Files.size(source))) {
      copy(source, extents, channel);
      channel.force(true);
    }
    return extents;
  }

  private static void read(FileChannel channel, ByteBuffer window, long at, int length)
      throws IOException {
    window.clear().limit(length);
    while (window.hasRemaining()) {
      int count = channel.read(window, at + window.position());
      if (count < 0) {
        throw new IOException("the file shrank while it was read");
      }
    }
    window.flip();
  }
}
