package dev.cofferdam.node.image;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.disk.Disks;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.oci.Digest;
import dev.cofferdam.node.oci.ImageConfig;
import dev.cofferdam.node.oci.ImageException;
import dev.cofferdam.node.oci.OciImage;
import dev.cofferdam.node.oci.RootMaker;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Makes guest images of OCI images: their layers as the root, beside the built-in image's kernel
 * and agent, which finds beside itself what the image says of its processes. The root itself holds
 * no trace of either.
 *
 * <p>An image's directory is named by all that decides its content, so one that is there is the one
 * wanted. Roots are shared by images that differ in their kernel or disk alone. Safe for use by
 * several threads, of which one works at a time: each making needs room for a whole image.
 */
public final class ImageMaker {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Rises whenever images are made in another way. */
  private static final String FORM = "1";

  /** In the guest's first file system, for the agent. */
  private static final String SAID = "image.json";

  private static final int MAX_SAID = 1 << 20;
  private static final Pattern DIGEST = Pattern.compile("[0-9a-f]{64}");
  private static final String ROOT = MachineSpec.root(MachineSpec.SQUASHFS);
  private static final String ROOTS = "roots";
  private static final String WORK = "work";

  private final Path root;
  private final RootMaker roots;
  private final Disks disks;

  /**
   * @param root of the directories; nobody else writes there
   */
  public ImageMaker(Path root, RootMaker roots, Disks disks) {
    this.root = root;
    this.roots = roots;
    this.disks = disks;
  }

  /**
   * @param base whose kernel, initrd and command line are used
   * @param kernel instead of the base's; {@code <kernel>.modules} beside it is taken along
   * @param diskMib size of a sandbox's own disk
   * @throws ImageException when the OCI image is no good
   */
  public synchronized Image make(OciImage image, Image base, Optional<Path> kernel, int diskMib)
      throws IOException {
    String digest = digest(image, base, kernel, diskMib);
    if (!Files.exists(root.resolve(digest))) {
      Path work = workDirectory();
      try {
        fill(work, image, base, kernel, diskMib, digest);
      } finally {
        delete(work);
      }
    }
    return open(digest);
  }

  /**
   * @throws IOException when it is not there, or not whole
   */
  public Image open(String digest) throws IOException {
    return new ImageStore(root).open(digest);
  }

  /** Those that are there. */
  public List<String> present() throws IOException {
    if (!Files.isDirectory(root)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(root)) {
      return entries
          .map(entry -> String.valueOf(entry.getFileName()))
          .filter(DIGEST.asMatchPredicate())
          .toList();
    }
  }

  /** Idempotent. Machines that run on it go on, but none starts on it any more. */
  public synchronized void remove(String digest) throws IOException {
    if (!DIGEST.matcher(digest).matches()) {
      throw new IOException("image is '" + digest + "', expected a digest " + DIGEST);
    }
    Path gone = root.resolve(WORK).resolve(digest);
    Files.createDirectories(root.resolve(WORK));
    delete(gone);
    try {
      // At once, so that nobody takes half of it for whole.
      Files.move(root.resolve(digest), gone, StandardCopyOption.ATOMIC_MOVE);
    } catch (NoSuchFileException e) {
      return;
    }
    delete(gone);
    removeUnusedRoots();
  }

  /** What a process that was killed left behind. */
  public synchronized void removeLeftovers() throws IOException {
    delete(root.resolve(WORK));
    removeUnusedRoots();
  }

  private void fill(
      Path work, OciImage image, Image base, Optional<Path> kernel, int diskMib, String digest)
      throws IOException {
    Path made = Files.createDirectory(work.resolve("image"));
    Files.createLink(made.resolve(ROOT), rootOf(image, work));
    Files.copy(
        kernel.orElseGet(() -> base.directory().resolve("vmlinuz")), made.resolve("vmlinuz"));
    initrd(
        base.directory().resolve("initrd"),
        modules(kernel),
        said(image.config()),
        made.resolve("initrd"));
    disks.format(made.resolve("disk.ext4"), diskMib);
    ObjectNode manifest =
        JSON.createObjectNode()
            .put("digest", digest)
            .put("oci", image.digest().toString())
            .put("cmdline", base.kernelArguments() + " " + MachineSpec.SQUASHFS);
    manifest.putArray("warm_up");
    Files.writeString(made.resolve("manifest.json"), manifest.toString());
    try (Stream<Path> files = Files.list(made)) {
      for (Path file : files.toList()) {
        seal(file);
      }
    }
    // VMMs are other users.
    Files.setPosixFilePermissions(made, PosixFilePermissions.fromString("rwxr-xr-x"));
    SparseFile.sync(made);
    Files.move(made, root.resolve(digest), StandardCopyOption.ATOMIC_MOVE);
    SparseFile.sync(root);
  }

  private Path rootOf(OciImage image, Path work) throws IOException {
    Path kept = root.resolve(ROOTS).resolve(image.digest().hex() + "-" + FORM);
    if (!Files.exists(kept)) {
      Files.createDirectories(kept.getParent());
      Path fresh = work.resolve(ROOT);
      roots.make(image, Files.createDirectory(work.resolve("layers")), fresh);
      seal(fresh);
      Files.move(fresh, kept, StandardCopyOption.ATOMIC_MOVE);
    }
    return kept;
  }

  private static void seal(Path file) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("r--r--r--"));
    SparseFile.sync(file);
  }

  /** What a kernel that was chosen brings along: an archive of {@code mod/*.ko}. */
  private static Optional<Path> modules(Optional<Path> kernel) {
    return kernel
        .map(file -> file.resolveSibling(file.getFileName() + ".modules"))
        .filter(Files::isRegularFile);
  }

  /**
   * The built-in initrd with further archives, which the kernel unpacks one over another. What the
   * image says comes last, as nobody's modules are to say it.
   */
  private static void initrd(Path base, Optional<Path> modules, byte[] said, Path target)
      throws IOException {
    Files.copy(base, target);
    Files.setPosixFilePermissions(target, PosixFilePermissions.fromString("rw-r--r--"));
    try (OutputStream out = Files.newOutputStream(target, StandardOpenOption.APPEND)) {
      out.write(Cpio.padding(Files.size(base)));
      if (modules.isPresent()) {
        out.write(Cpio.padding(Files.copy(modules.get(), out)));
      }
      out.write(Cpio.of(SAID, said));
    }
  }

  private static byte[] said(ImageConfig config) throws ImageException {
    ObjectNode json =
        JSON.createObjectNode().put("directory", config.directory()).put("user", config.user());
    ObjectNode environment = json.putObject("environment");
    new TreeMap<>(config.environment()).forEach(environment::put);
    try {
      byte[] text = JSON.writeValueAsBytes(json);
      if (text.length > MAX_SAID) {
        throw new ImageException(
            "its environment takes %d bytes, expected at most %d".formatted(text.length, MAX_SAID));
      }
      return text;
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree of texts is JSON", e);
    }
  }

  /** The mesh's own place is part of it: what is made here is removed here, and nobody else's. */
  private String digest(OciImage image, Image base, Optional<Path> kernel, int diskMib)
      throws IOException {
    String inputs =
        String.join(
            "\n",
            FORM,
            root.toString(),
            image.digest().hex(),
            base.digest(),
            contentOf(kernel),
            contentOf(modules(kernel)),
            Integer.toString(diskMib));
    return Digest.of(inputs.getBytes(StandardCharsets.UTF_8)).hex();
  }

  private static String contentOf(Optional<Path> file) throws IOException {
    return file.isPresent() ? Digest.of(file.get()).hex() : "";
  }

  private Path workDirectory() throws IOException {
    Files.createDirectories(root.resolve(WORK));
    return Files.createTempDirectory(root.resolve(WORK), "making-");
  }

  /** Those that no image has a second name of. */
  private void removeUnusedRoots() throws IOException {
    Path directory = root.resolve(ROOTS);
    if (!Files.isDirectory(directory)) {
      return;
    }
    try (Stream<Path> entries = Files.list(directory)) {
      for (Path entry : entries.toList()) {
        if (Files.getAttribute(entry, "unix:nlink").equals(1)) {
          Files.deleteIfExists(entry);
        }
      }
    }
  }

  private static void delete(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    Files.walkFileTree(
        directory,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path visited, @Nullable IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.delete(visited);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
