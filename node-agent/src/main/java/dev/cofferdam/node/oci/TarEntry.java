package dev.cofferdam.node.oci;

import java.util.Map;

/**
 * One member of a tar archive. Names are bytes, held as ISO 8859-1: Linux knows no encoding.
 *
 * @param name as it stands there
 * @param type flag of POSIX.1-2017 ustar: {@code '0'} file, {@code '1'} hard link, {@code '2'}
 *     symbolic link, {@code '3'} and {@code '4'} devices, {@code '5'} directory, {@code '6'} FIFO
 * @param mode permission bits, 0 to 07777
 * @param mtime Unix time in s, at least 0
 * @param size of the content, in bytes
 * @param link what a link points to, else empty
 * @param xattrs extended attributes, their values as bytes
 * @param offset of the content within the archive, in bytes
 */
record TarEntry(
    String name,
    char type,
    int mode,
    long uid,
    long gid,
    long mtime,
    long size,
    String link,
    Map<String, byte[]> xattrs,
    long offset) {
  TarEntry {
    xattrs = Map.copyOf(xattrs);
  }
}
