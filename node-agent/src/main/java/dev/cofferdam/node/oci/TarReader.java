package dev.cofferdam.node.oci;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reads the members of a tar archive: POSIX.1-2017 ustar and pax, and GNU's long names and binary
 * numbers. Sparse members are refused, as image builders write none. Own code, for the libraries at
 * hand decode extended attributes as text and so lose their bytes.
 *
 * <p>Not safe for use by several threads.
 */
final class TarReader {
  private static final int BLOCK = 512;
  private static final int MAX_NAME = 4096;
  private static final int MAX_PAX = 1 << 20;
  private static final long MAX_ID = 0xffff_fffeL;
  private static final long MAX_TIME = 0xffff_ffffL;
  private static final String XATTR = "SCHILY.xattr.";

  private final FileChannel channel;
  private final ByteBuffer block = ByteBuffer.allocate(BLOCK);
  private long position;

  TarReader(FileChannel channel) {
    this.channel = channel;
  }

  /** Empty at the end. */
  Optional<TarEntry> next() throws IOException {
    Map<String, byte[]> pax = new HashMap<>();
    while (true) {
      byte[] header = header();
      if (header.length == 0) {
        return Optional.empty();
      }
      char type = (char) header[156];
      long size = number(header, 124, 12, "size");
      switch (type) {
        case 'x' -> pax.putAll(records(content(size)));
        // For the rest of the archive: nothing that matters here stands in one.
        case 'g' -> skip(size);
        case 'L' -> pax.put("path", terminated(content(size)));
        case 'K' -> pax.put("linkpath", terminated(content(size)));
        default -> {
          return Optional.of(entry(header, type, size, pax));
        }
      }
    }
  }

  private TarEntry entry(byte[] header, char flag, long headerSize, Map<String, byte[]> pax)
      throws IOException {
    char type = flag == 0 || flag == '7' ? '0' : flag;
    if (type == 'S' || pax.keySet().stream().anyMatch(key -> key.startsWith("GNU.sparse"))) {
      throw new ImageException("a sparse member in a layer; expected plain ones");
    }
    String name = text(pax.get("path"), ustarName(header));
    long size = decimal(pax.get("size"), headerSize, Long.MAX_VALUE / 2);
    Map<String, byte[]> xattrs = new HashMap<>();
    pax.forEach((key, value) -> {
      if (key.startsWith(XATTR)) {
        xattrs.put(key.substring(XATTR.length()), value);
      }
    });
    long offset = position;
    if (type == '0') {
      skip(size);
    } else {
      // Links and directories have no content, whatever their size says (POSIX.1-2017, pax).
      size = 0;
    }
    return new TarEntry(
        name,
        // Of old archives: a directory is a file whose name ends so.
        type == '0' && name.endsWith("/") && size == 0 ? '5' : type,
        (int) number(header, 100, 8, "mode") & 0xfff,
        bounded("uid", decimal(pax.get("uid"), number(header, 108, 8, "uid"), MAX_ID), MAX_ID),
        bounded("gid", decimal(pax.get("gid"), number(header, 116, 8, "gid"), MAX_ID), MAX_ID),
        time(pax.get("mtime"), header),
        size,
        text(pax.get("linkpath"), field(header, 157, 100)),
        xattrs,
        offset);
  }

  /** Empty at the end: two blocks of zeros, or nothing more at all. */
  private byte[] header() throws IOException {
    byte[] header = new byte[BLOCK];
    block.clear();
    while (block.hasRemaining()) {
      int count = channel.read(block, position + block.position());
      if (count < 0) {
        if (block.position() == 0) {
          return new byte[0];
        }
        throw new EOFException("a layer ends within a header");
      }
    }
    block.flip().get(header);
    position += BLOCK;
    boolean zero = true;
    int sum = 0;
    for (int i = 0; i < BLOCK; i++) {
      zero &= header[i] == 0;
      sum += i >= 148 && i < 156 ? ' ' : header[i] & 0xff;
    }
    if (zero) {
      return new byte[0];
    }
    if (number(header, 148, 8, "checksum") != sum) {
      throw new ImageException("a header at " + (position - BLOCK) + " has a wrong checksum");
    }
    return header;
  }

  private byte[] content(long size) throws IOException {
    if (size > MAX_PAX) {
      throw new ImageException(
          "a header of %d bytes, expected at most %d".formatted(size, MAX_PAX));
    }
    ByteBuffer bytes = ByteBuffer.allocate((int) size);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes, position + bytes.position()) < 0) {
        throw new EOFException("a layer ends within a header");
      }
    }
    skip(size);
    return bytes.array();
  }

  private void skip(long size) throws IOException {
    long next = position + (size + BLOCK - 1) / BLOCK * BLOCK;
    // The last member's padding may be missing; its content may not.
    if (size < 0 || position + size > channel.size()) {
      throw new EOFException("a layer ends within a member of " + size + " bytes");
    }
    position = next;
  }

  /** {@code "<length> <key>=<value>\n"} each, the length in decimal and of the whole record. */
  private static Map<String, byte[]> records(byte[] text) throws IOException {
    Map<String, byte[]> records = new HashMap<>();
    int at = 0;
    while (at < text.length && text[at] != 0) {
      int blank = at;
      int length = 0;
      while (blank < text.length && text[blank] >= '0' && text[blank] <= '9' && length <= MAX_PAX) {
        length = length * 10 + text[blank++] - '0';
      }
      int end = at + length;
      int equals = blank;
      while (equals < text.length && text[equals] != '=') {
        equals++;
      }
      if (blank >= text.length
          || text[blank] != ' '
          || end > text.length
          || equals >= end - 1
          || text[end - 1] != '\n') {
        throw new ImageException("a pax header that makes no sense at byte " + at);
      }
      String key = new String(text, blank + 1, equals - blank - 1, StandardCharsets.ISO_8859_1);
      records.put(key, Arrays.copyOfRange(text, equals + 1, end - 1));
      at = end;
    }
    return records;
  }

  private static byte[] terminated(byte[] text) {
    int end = 0;
    while (end < text.length && text[end] != 0) {
      end++;
    }
    return Arrays.copyOf(text, end);
  }

  private static String ustarName(byte[] header) throws IOException {
    String name = field(header, 0, 100);
    // GNU's own format has other things where ustar has the prefix.
    boolean ustar = field(header, 257, 6).equals("ustar");
    String prefix = ustar ? field(header, 345, 155) : "";
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  private static String field(byte[] header, int at, int length) throws IOException {
    byte[] bytes = terminated(Arrays.copyOfRange(header, at, at + length));
    return text(bytes, "");
  }

  private static String text(byte @Nullable [] value, String otherwise) throws IOException {
    if (value == null) {
      return otherwise;
    }
    if (value.length > MAX_NAME) {
      throw new ImageException(
          "a name of %d bytes, expected at most %d".formatted(value.length, MAX_NAME));
    }
    return new String(value, StandardCharsets.ISO_8859_1);
  }

  /** Octal digits, or binary with the highest bit set (GNU). */
  private static long number(byte[] header, int at, int length, String what) throws IOException {
    if ((header[at] & 0x80) != 0) {
      long value = header[at] & 0x7f;
      for (int i = at + 1; i < at + length; i++) {
        if (value >>> 55 != 0) {
          throw new ImageException("a " + what + " that is too large or negative");
        }
        value = (value << 8) | (header[i] & 0xff);
      }
      return value;
    }
    long value = 0;
    boolean begun = false;
    for (int i = at; i < at + length && header[i] != 0; i++) {
      if (header[i] == ' ') {
        if (begun) {
          break;
        }
        continue;
      }
      if (header[i] < '0' || header[i] > '7') {
        throw new ImageException("a " + what + " that is no number");
      }
      begun = true;
      value = (value << 3) + header[i] - (int) '0';
    }
    return value;
  }

  private static long decimal(byte @Nullable [] value, long otherwise, long max)
      throws IOException {
    if (value == null) {
      return otherwise;
    }
    String text = new String(value, StandardCharsets.ISO_8859_1);
    if (!text.matches("[0-9]{1,18}")) {
      throw new ImageException("a pax header has the number '" + text + "'");
    }
    return bounded("number", Long.parseLong(text), max);
  }

  private static long bounded(String what, long value, long max) throws IOException {
    if (value > max) {
      throw new ImageException("a %s of %d, expected at most %d".formatted(what, value, max));
    }
    return value;
  }

  /** Whole seconds; what lies outside of what a file system keeps is moved to its border. */
  private static long time(byte @Nullable [] pax, byte[] header) throws IOException {
    if (pax == null) {
      return Math.min(number(header, 136, 12, "mtime"), MAX_TIME);
    }
    String text = new String(pax, StandardCharsets.ISO_8859_1);
    if (!text.matches("-?[0-9]{1,18}(\\.[0-9]*)?")) {
      throw new ImageException("a pax header has the time '" + text + "'");
    }
    int point = text.indexOf('.');
    long seconds = Long.parseLong(point < 0 ? text : text.substring(0, point));
    return Math.clamp(seconds, 0, MAX_TIME);
  }
}
