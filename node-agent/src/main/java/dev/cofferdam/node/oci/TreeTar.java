package dev.cofferdam.node.oci;

import dev.cofferdam.node.oci.ImageTree.Inode;
import dev.cofferdam.node.oci.ImageTree.Node;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;

/**
 * A tree as one tar archive: sorted, each file once and other names of it as links, nothing in it
 * but what a root file system may have.
 */
final class TreeTar {
  /** The only ones that mean something to a guest and that squashfs keeps. */
  private static final String CAPABILITY = "security.capability";

  private static final String USER = "user.";
  private static final int MAX_XATTRS = 64 << 10;

  private final TarWriter tar;
  private final WritableByteChannel channel;
  private final IdentityHashMap<Inode, String> written = new IdentityHashMap<>();
  private final Map<Path, FileChannel> layers = new HashMap<>();

  private TreeTar(OutputStream out) {
    this.tar = new TarWriter(out);
    this.channel = Channels.newChannel(out);
  }

  /** Without the root itself, whose attributes are told to whoever reads this. */
  static void write(ImageTree tree, OutputStream out) throws IOException {
    TreeTar writer = new TreeTar(out);
    try {
      writer.children("", tree.root());
      writer.tar.finish();
    } finally {
      for (FileChannel layer : writer.layers.values()) {
        layer.close();
      }
    }
  }

  private void children(String prefix, Node directory) throws IOException {
    for (Map.Entry<String, Node> child : directory.children().entrySet()) {
      String path = prefix + child.getKey();
      write(path, child.getValue().inode());
      children(path + "/", child.getValue());
    }
  }

  private void write(String path, Inode inode) throws IOException {
    TarEntry entry = inode.entry();
    String first = written.putIfAbsent(inode, path);
    if (first != null) {
      tar.header(member(path, '1', 0, first, entry, Map.of()));
      return;
    }
    String link = entry.type() == '2' ? entry.link() : "";
    tar.header(member(path, entry.type(), entry.size(), link, entry, xattrs(path, entry)));
    if (entry.size() > 0) {
      copy(inode);
      tar.pad(entry.size());
    }
  }

  private void copy(Inode inode) throws IOException {
    FileChannel layer = layers.get(inode.layer());
    if (layer == null) {
      layer = FileChannel.open(inode.layer());
      layers.put(inode.layer(), layer);
    }
    long at = inode.entry().offset();
    long end = at + inode.entry().size();
    while (at < end) {
      long count = layer.transferTo(at, end - at, channel);
      if (count <= 0) {
        throw new IOException("a layer became shorter while it was read");
      }
      at += count;
    }
  }

  private static TarEntry member(
      String path, char type, long size, String link, TarEntry of, Map<String, byte[]> xattrs) {
    return new TarEntry(
        path, type, of.mode(), of.uid(), of.gid(), of.mtime(), size, link, xattrs, 0);
  }

  /** Overlay's own attributes above all are left out: they would change what the guest sees. */
  private static Map<String, byte[]> xattrs(String path, TarEntry entry) throws ImageException {
    Map<String, byte[]> kept = new HashMap<>();
    long total = 0;
    for (Map.Entry<String, byte[]> xattr : entry.xattrs().entrySet()) {
      if (xattr.getKey().equals(CAPABILITY) || xattr.getKey().startsWith(USER)) {
        total += xattr.getKey().length() + xattr.getValue().length;
        kept.put(xattr.getKey(), xattr.getValue());
      }
    }
    if (total > MAX_XATTRS) {
      throw new ImageException(
          "%s has extended attributes of %d bytes, expected at most %d"
              .formatted(path, total, MAX_XATTRS));
    }
    return kept;
  }
}
