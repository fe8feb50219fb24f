package dev.cofferdam.node.image;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/**
 * An archive of one file, as the kernel unpacks it behind another one into a guest's first file
 * system (linux, initramfs/buffer-format.rst: newc).
 */
final class Cpio {
  private static final int ALIGNMENT = 4;
  private static final int PLAIN_FILE = 0100400;

  private Cpio() {}

  static byte[] of(String name, byte[] content) {
    ByteArrayOutputStream archive = new ByteArrayOutputStream();
    member(archive, 1, PLAIN_FILE, name, content);
    member(archive, 0, 0, "TRAILER!!!", new byte[0]);
    return archive.toByteArray();
  }

  /** Zeros up to the next place where an archive may begin. */
  static byte[] padding(long length) {
    return new byte[(int) (-length & (ALIGNMENT - 1))];
  }

  private static void member(
      ByteArrayOutputStream archive, int inode, int mode, String name, byte[] content) {
    byte[] path = (name + "\0").getBytes(StandardCharsets.US_ASCII);
    // c_ino, c_mode, c_uid, c_gid, c_nlink, c_mtime, c_filesize, then four numbers of devices,
    // c_namesize and c_chksum, which newc leaves empty.
    int[] fields = {inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, path.length, 0};
    StringBuilder header = new StringBuilder("070701");
    for (int field : fields) {
      header.append("%08x".formatted(field));
    }
    archive.writeBytes(header.toString().getBytes(StandardCharsets.US_ASCII));
    archive.writeBytes(path);
    archive.writeBytes(padding(archive.size()));
    archive.writeBytes(content);
    archive.writeBytes(padding(archive.size()));
  }
}
