package dev.cofferdam.node.oci;

import com.github.luben.zstd.ZstdOutputStreamNoFinalizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.zip.GZIPOutputStream;

/** A layer in the making. */
public final class TestLayer {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final TarWriter tar = new TarWriter(bytes);

  /** The content's characters are its bytes. */
  public TestLayer file(String name, String content) {
    return file(name, content, 0644, 0, 0, Map.of());
  }

  public TestLayer file(
      String name, String content, int mode, long uid, long gid, Map<String, byte[]> xattrs) {
    byte[] text = content.getBytes(StandardCharsets.ISO_8859_1);
    member(new TarEntry(name, '0', mode, uid, gid, 77, text.length, "", xattrs, 0));
    bytes.writeBytes(text);
    pad(text.length);
    return this;
  }

  public TestLayer directory(String name, int mode) {
    return member(new TarEntry(name, '5', mode, 0, 0, 77, 0, "", Map.of(), 0));
  }

  public TestLayer symbolicLink(String name, String target) {
    return member(new TarEntry(name, '2', 0777, 0, 0, 77, 0, target, Map.of(), 0));
  }

  public TestLayer hardLink(String name, String target) {
    return member(new TarEntry(name, '1', 0644, 0, 0, 77, 0, target, Map.of(), 0));
  }

  public TestLayer special(String name, char type) {
    return member(new TarEntry(name, type, 0600, 0, 0, 77, 0, "", Map.of(), 0));
  }

  public TestLayer whiteout(String name) {
    return file(name, "");
  }

  public byte[] tar() {
    byte[] whole = bytes.toByteArray();
    return java.util.Arrays.copyOf(whole, whole.length + 1024);
  }

  public static byte[] gzip(byte[] content) {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
      out.write(content);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return packed.toByteArray();
  }

  /**
   * @param windowLog of the window that the frame asks for: 2 to that many bytes
   */
  public static byte[] zstd(byte[] content, int windowLog) {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (ZstdOutputStreamNoFinalizer out = new ZstdOutputStreamNoFinalizer(packed)) {
      out.setLong(windowLog).write(content);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return packed.toByteArray();
  }

  private TestLayer member(TarEntry entry) {
    try {
      tar.header(entry);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return this;
  }

  private void pad(int size) {
    try {
      tar.pad(size);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
