package dev.cofferdam.node.oci;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Writes ustar members (POSIX.1-2017), with a pax header before those that ustar cannot hold. */
final class TarWriter {
  private static final int BLOCK = 512;
  private static final int NAME = 100;
  private static final long OCTAL_7 = 07777777;
  private static final long OCTAL_11 = 077777777777L;

  private final OutputStream out;

  TarWriter(OutputStream out) {
    this.out = out;
  }

  /**
   * A member's header; {@code size} bytes of content and {@link #pad} follow.
   *
   * @param entry its offset means nothing here
   */
  void header(TarEntry entry) throws IOException {
    Map<String, byte[]> pax = new TreeMap<>();
    if (entry.name().length() > NAME) {
      pax.put("path", bytes(entry.name()));
    }
    if (entry.link().length() > NAME) {
      pax.put("linkpath", bytes(entry.link()));
    }
    number(pax, "size", entry.size(), OCTAL_11);
    number(pax, "uid", entry.uid(), OCTAL_7);
    number(pax, "gid", entry.gid(), OCTAL_7);
    entry.xattrs().forEach((key, value) -> pax.put("SCHILY.xattr." + key, value));
    if (!pax.isEmpty()) {
      byte[] records = records(pax);
      out.write(block("pax", 'x', 0644, 0, 0, 0, records.length, ""));
      out.write(records);
      pad(records.length);
    }
    out.write(
        block(
            entry.name(),
            entry.type(),
            entry.mode(),
            Math.min(entry.uid(), OCTAL_7),
            Math.min(entry.gid(), OCTAL_7),
            entry.mtime(),
            Math.min(entry.size(), OCTAL_11),
            entry.link()));
  }

  /** After that many bytes of content. */
  void pad(long size) throws IOException {
    out.write(new byte[(int) (-size & (BLOCK - 1))]);
  }

  void finish() throws IOException {
    out.write(new byte[2 * BLOCK]);
    out.flush();
  }

  private static void number(Map<String, byte[]> pax, String key, long value, long max) {
    if (value > max) {
      pax.put(key, bytes(Long.toString(value)));
    }
  }

  private static byte[] records(Map<String, byte[]> pax) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    pax.forEach((key, value) -> {
      byte[] name = bytes(key);
      // The length counts its own digits.
      int rest = name.length + value.length + 3;
      int length = rest + Integer.toString(rest).length();
      length = rest + Integer.toString(length).length();
      all.writeBytes(bytes(length + " "));
      all.writeBytes(name);
      all.write('=');
      all.writeBytes(value);
      all.write('\n');
    });
    return all.toByteArray();
  }

  private static byte[] block(
      String name, char type, int mode, long uid, long gid, long mtime, long size, String link) {
    byte[] header = new byte[BLOCK];
    put(header, 0, NAME, bytes(name));
    put(header, 100, 8, octal(mode, 7));
    put(header, 108, 8, octal(uid, 7));
    put(header, 116, 8, octal(gid, 7));
    put(header, 124, 12, octal(size, 11));
    put(header, 136, 12, octal(mtime, 11));
    put(header, 148, 8, bytes("        "));
    header[156] = (byte) type;
    put(header, 157, NAME, bytes(link));
    put(header, 257, 6, bytes("ustar"));
    put(header, 263, 2, bytes("00"));
    int sum = 0;
    for (byte value : header) {
      sum += value & 0xff;
    }
    put(header, 148, 7, octal(sum, 6));
    return header;
  }

  private static void put(byte[] header, int at, int length, byte[] value) {
    System.arraycopy(value, 0, header, at, Math.min(value.length, length));
    if (value.length < length) {
      header[at + value.length] = 0;
    }
  }

  private static byte[] octal(long value, int digits) {
    return bytes(String.format(Locale.ROOT, "%0" + digits + "o", value));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }
}
