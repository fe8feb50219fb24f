package dev.cofferdam.node.oci;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes one read-only root file system of an image's layers: squashfs, which keeps owners, modes,
 * hard links, capabilities and user attributes, by sqfstar(1) from a tar archive, so that no
 * privilege is needed. Not packed: the host caches it once for all guests, and an emulated
 * processor is slow at unpacking. Safe for use by several threads.
 */
public final class RootMaker {
  private static final Path PROGRAM = Path.of("/usr/bin/sqfstar");
  private static final int BUFFER = 1 << 16;
  private static final int COMPLAINT = 4096;

  private final Path program;
  private final ImageLimits limits;
  private final LongSupplier room;

  public RootMaker(ImageLimits limits) {
    this(PROGRAM, limits, () -> Long.MAX_VALUE);
  }

  /**
   * @param room bytes that the host has for it now
   */
  public RootMaker(ImageLimits limits, LongSupplier room) {
    this(PROGRAM, limits, room);
  }

  private RootMaker(Path program, ImageLimits limits, LongSupplier room) {
    this.program = program;
    this.limits = limits;
    this.room = room;
  }

  /**
   * @param work an empty directory, for the time of the call; as large as the layers unpacked
   * @param target is made
   * @throws ImageException when the image is no good
   * @throws IOException when the host is
   */
  public void make(OciImage image, Path work, Path target) throws IOException {
    ImageTree tree = tree(image, work);
    write(tree, work.resolve("complaints"), target);
  }

  ImageTree tree(OciImage image, Path work) throws IOException {
    if (image.layers().size() > limits.layers()) {
      throw new ImageException(
          "%d layers, expected at most %d".formatted(image.layers().size(), limits.layers()));
    }
    // The layers lie there unpacked while the root is made of them, which is as large.
    LayerUnpacker unpacker = new LayerUnpacker(Math.min(limits.bytes(), room.getAsLong() / 2));
    ImageTree tree = new ImageTree(limits.entries());
    int number = 0;
    for (OciImage.Layer layer : image.layers()) {
      Path tar = work.resolve("layer-" + number++);
      unpacker.unpack(image, layer, tar);
      tree.nextLayer(tar);
      try (FileChannel channel = FileChannel.open(tar)) {
        TarReader reader = new TarReader(channel);
        for (Optional<TarEntry> next = reader.next(); next.isPresent(); next = reader.next()) {
          tree.add(next.get());
        }
      } catch (java.io.EOFException e) {
        throw new ImageException("layer " + layer.name() + ": " + e.getMessage(), e);
      }
    }
    return tree;
  }

  private void write(ImageTree tree, Path complaints, Path target) throws IOException {
    TarEntry root = tree.root().inode().entry();
    ProcessBuilder builder =
        new ProcessBuilder(
                program.toString(),
                "-noI",
                "-noD",
                "-noF",
                "-noX",
                "-no-progress",
                "-quiet",
                "-exit-on-error",
                "-processors",
                "1",
                "-mem",
                "256M",
                "-root-mode",
                Integer.toOctalString(root.mode()),
                "-root-uid",
                Long.toString(root.uid()),
                "-root-gid",
                Long.toString(root.gid()),
                target.toString())
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .redirectError(complaints.toFile());
    // The same image gives the same bytes: no time is later than that. Debian 12's sqfstar passes
    // over -root-time, and else the root has the time of its making.
    builder.environment().put("SOURCE_DATE_EPOCH", Long.toString(newest(tree.root())));
    Process process = builder.start();
    try {
      @Nullable IOException failure = null;
      try (OutputStream out = new BufferedOutputStream(process.getOutputStream(), BUFFER)) {
        TreeTar.write(tree, out);
      } catch (ImageException e) {
        throw e;
      } catch (IOException e) {
        // It ended before it had read all: what it says is the better cause.
        failure = e;
      }
      int status = process.waitFor();
      if (status != 0 || failure != null) {
        throw new IOException(
            "%s ended with %d: %s".formatted(program, status, text(complaints)), failure);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while a root file system was made", e);
    } finally {
      var _ = process.destroyForcibly();
    }
  }

  /** In seconds, as far as squashfs can tell: 32 bits without a sign. */
  private static long newest(ImageTree.Node node) {
    long newest = Math.clamp(node.inode().entry().mtime(), 0, 0xffff_ffffL);
    for (ImageTree.Node child : node.children().values()) {
      newest = Math.max(newest, newest(child));
    }
    return newest;
  }

  private static String text(Path complaints) throws IOException {
    try (var in = Files.newInputStream(complaints)) {
      return new String(in.readNBytes(COMPLAINT), StandardCharsets.UTF_8).strip();
    }
  }
}
