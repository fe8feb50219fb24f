package dev.cofferdam.node.volume;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.Disks;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The volumes of this node: a sparse file each, by the scheduler's id. What is in one is a
 * tenant's: it is never mounted nor parsed on the host. That one has a single writer is
 * node-helper's to hold; which sandbox has it is on the scheduler's record.
 *
 * <p>A volume is there or not: it is made under another name and renamed once it is durable. One
 * make or remove at a time; safe for use by several threads.
 */
public final class Volumes {
  private static final Logger log = LoggerFactory.getLogger(Volumes.class);
  private static final Pattern ID = Pattern.compile("vol-[a-z2-7]{20}");
  private static final String UNFINISHED = ".making-";
  private static final int MIN_MIB = 64;
  private static final int MAX_MIB = 1 << 20;

  private final Path root;
  private final Disks disks;
  private final FileCopier copier;
  private final Room room;

  /** Copies a file that is mostly holes to a name that is not there. */
  @FunctionalInterface
  public interface FileCopier {
    void copy(Path source, Path target) throws IOException;
  }

  /** Where the host's disk is watched. */
  @FunctionalInterface
  public interface Room {
    /**
     * @param mib that a guest may come to write
     * @throws Refusal NO_CAPACITY
     */
    void require(int mib);
  }

  /**
   * @param root made here; the same in node-helper's configuration
   */
  public Volumes(Path root, Disks disks, FileCopier copier, Room room) {
    this.root = root;
    this.disks = disks;
    this.copier = copier;
    this.room = room;
    try {
      Files.createDirectories(root);
      removeUnfinished();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot use " + root, e);
    }
  }

  /** A volume's id becomes a path: nothing but the one form gets in. */
  public static void requireId(String id) {
    if (!ID.matcher(id).matches()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "volume is '" + id + "', expected " + ID);
    }
  }

  /**
   * Idempotent per id and size.
   *
   * @param sizeMib 64 to 1,048,576, not smaller than the source
   * @param source a volume to begin as a copy of, as it is now. What its file system does not fill
   *     yet, the guest that mounts it lets it grow into
   * @throws Refusal VOLUME_NOT_FOUND for the source, VOLUME_EXISTS with another size, NO_CAPACITY
   */
  public synchronized void make(String id, int sizeMib, Optional<String> source)
      throws IOException {
    requireId(id);
    source.ifPresent(Volumes::requireId);
    if (sizeMib < MIN_MIB || sizeMib > MAX_MIB) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "size_mib is %d, expected %d to %d".formatted(sizeMib, MIN_MIB, MAX_MIB));
    }
    Path file = root.resolve(id);
    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      requireSize(id, file, sizeMib);
      return;
    }
    room.require(sizeMib);
    Path fresh = root.resolve(UNFINISHED + id);
    Files.deleteIfExists(fresh);
    try {
      if (source.isPresent()) {
        copy(source.get(), fresh, (long) sizeMib << 20);
      } else {
        disks.format(fresh, sizeMib);
      }
      sync(fresh, StandardOpenOption.WRITE);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
      sync(root, StandardOpenOption.READ);
    } finally {
      Files.deleteIfExists(fresh);
    }
    log.atInfo()
        .setMessage("volume_made")
        .addKeyValue("volume", id)
        .addKeyValue("size_mib", sizeMib)
        .addKeyValue("source", source.orElse(""))
        .log();
  }

  /** Removing what is not there succeeds. A machine that has it goes on with what nobody finds. */
  public synchronized void remove(String id) throws IOException {
    requireId(id);
    if (Files.deleteIfExists(root.resolve(id))) {
      sync(root, StandardOpenOption.READ);
      log.atInfo().setMessage("volume_removed").addKeyValue("volume", id).log();
    }
  }

  /**
   * @throws Refusal VOLUME_NOT_FOUND naming the first that is not here
   */
  public void require(List<String> ids) {
    for (String id : ids) {
      requireId(id);
      if (!Files.isRegularFile(root.resolve(id), LinkOption.NOFOLLOW_LINKS)) {
        throw notFound(id);
      }
    }
  }

  /** The file of each volume that is whole. */
  public List<Path> files() throws IOException {
    try (Stream<Path> entries = Files.list(root)) {
      List<Path> files = new ArrayList<>();
      entries
          .filter(entry -> ID.matcher(String.valueOf(entry.getFileName())).matches())
          .forEach(files::add);
      return files;
    }
  }

  private void copy(String source, Path fresh, long bytes) throws IOException {
    Path from = root.resolve(source);
    if (!Files.isRegularFile(from, LinkOption.NOFOLLOW_LINKS)) {
      throw notFound(source);
    }
    long before = Files.size(from);
    if (bytes < before) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "size_mib is %d, expected at least %d, the size of its source"
              .formatted(bytes >> 20, before >> 20));
    }
    copier.copy(from, fresh);
    SparseFile.extend(fresh, bytes);
  }

  private static void requireSize(String id, Path file, int sizeMib) throws IOException {
    long present = Files.size(file) >> 20;
    if (present != sizeMib) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_VOLUME_EXISTS,
          "volume %s is there with %d MiB, expected %d".formatted(id, present, sizeMib));
    }
  }

  private static Refusal notFound(String id) {
    return new Refusal(
        ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, "volume " + id + " is not on this node");
  }

  private void removeUnfinished() throws IOException {
    try (Stream<Path> entries = Files.list(root)) {
      for (Path entry : entries.toList()) {
        if (String.valueOf(entry.getFileName()).startsWith(UNFINISHED)) {
          Files.deleteIfExists(entry);
        }
      }
    }
  }

  private static void sync(Path path, StandardOpenOption how) throws IOException {
    try (FileChannel channel = FileChannel.open(path, how)) {
      channel.force(true);
    }
  }
}
