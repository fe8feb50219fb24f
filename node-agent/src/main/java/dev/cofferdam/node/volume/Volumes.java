package dev.cofferdam.node.volume;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.DiskRoom;
import dev.cofferdam.node.disk.Disks;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The volumes of this node: a sparse file each, by the scheduler's id. What is in one is a
 * tenant's: it is never mounted nor parsed on the host. That one has a single writer is
 * node-helper's to hold; which sandbox has it is on the scheduler's record.
 *
 * <p>A volume is there or not: it is made under another name and renamed once it is durable. What
 * is done to one volume is done one thing at a time, and none waits for another's. Safe for use by
 * several threads.
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

  /** Those that something is being done to. Guarded by itself. */
  private final Set<String> busy = new HashSet<>();

  /** Copies a file that is mostly holes to a name that is not there. */
  @FunctionalInterface
  public interface FileCopier {
    void copy(Path source, Path target) throws IOException;
  }

  /** Does something while nobody writes to the source. */
  @FunctionalInterface
  public interface Standstill {
    void during(Runnable work);
  }

  /** Where the host's disk is watched. */
  @FunctionalInterface
  public interface Room {
    /**
     * @param mib that a guest may come to write
     * @return closed once the file is there, or will not be
     * @throws Refusal NO_CAPACITY
     */
    DiskRoom.Promise promise(int mib);
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
   * What a volume begins as a copy of.
   *
   * @param standstill in which it is copied
   */
  public record Source(String id, Standstill standstill) {
    /** Of one that nobody has. */
    public static Source unused(String id) {
      return new Source(id, Runnable::run);
    }
  }

  /**
   * Idempotent per id and size.
   *
   * @param sizeMib 64 to 1,048,576, not smaller than the source
   * @param source a volume to begin as a copy of, as it is now. What its file system does not fill
   *     yet, the guest that mounts it lets it grow into
   * @param wanted false once nobody would learn of it, and it may have been removed already: then
   *     nothing is made
   * @throws Refusal VOLUME_NOT_FOUND for the source, VOLUME_EXISTS with another size, NO_CAPACITY
   */
  public void make(String id, int sizeMib, Optional<Source> source, BooleanSupplier wanted)
      throws IOException {
    requireId(id);
    source.map(Source::id).ifPresent(Volumes::requireId);
    if (sizeMib < MIN_MIB || sizeMib > MAX_MIB) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "size_mib is %d, expected %d to %d".formatted(sizeMib, MIN_MIB, MAX_MIB));
    }
    begin(id);
    try {
      Path file = root.resolve(id);
      if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
        requireSize(id, file, sizeMib);
        return;
      }
      try (var _ = room.promise(sizeMib)) {
        make(id, file, sizeMib, source, wanted);
      }
    } finally {
      end(id);
    }
  }

  private void make(
      String id, Path file, int sizeMib, Optional<Source> source, BooleanSupplier wanted)
      throws IOException {
    requireWanted(id, wanted);
    Path fresh = root.resolve(UNFINISHED + id);
    Files.deleteIfExists(fresh);
    try {
      if (source.isPresent()) {
        copy(source.get(), fresh, (long) sizeMib << 20);
      } else {
        disks.format(fresh, sizeMib);
      }
      sync(fresh, StandardOpenOption.WRITE);
      requireWanted(id, wanted);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
      sync(root, StandardOpenOption.READ);
    } finally {
      Files.deleteIfExists(fresh);
    }
    log.atInfo()
        .setMessage("volume_made")
        .addKeyValue("volume", id)
        .addKeyValue("size_mib", sizeMib)
        .addKeyValue("source", source.map(Source::id).orElse(""))
        .log();
  }

  /**
   * Copies one that nobody writes to.
   *
   * @param target made here
   * @param sizeMib of the target, not smaller than the volume; what its file system does not fill
   *     yet, the guest that boots from it lets it grow into
   * @throws Refusal VOLUME_NOT_FOUND, SIZE_OUT_OF_RANGE
   */
  public void copyOut(String id, Path target, int sizeMib) throws IOException {
    requireId(id);
    begin(id);
    try {
      copy(Source.unused(id), target, (long) sizeMib << 20);
    } finally {
      end(id);
    }
  }

  /** Removing what is not there succeeds. A machine that has it goes on with what nobody finds. */
  public void remove(String id) throws IOException {
    requireId(id);
    begin(id);
    try {
      if (Files.deleteIfExists(root.resolve(id))) {
        sync(root, StandardOpenOption.READ);
        log.atInfo().setMessage("volume_removed").addKeyValue("volume", id).log();
      }
    } finally {
      end(id);
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

  private void begin(String id) throws IOException {
    synchronized (busy) {
      while (!busy.add(id)) {
        try {
          busy.wait();
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new InterruptedIOException("interrupted while something was done to " + id);
        }
      }
    }
  }

  private void end(String id) {
    synchronized (busy) {
      busy.remove(id);
      busy.notifyAll();
    }
  }

  private static void requireWanted(String id, BooleanSupplier wanted) {
    if (!wanted.getAsBoolean()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "the call for " + id + " has ended");
    }
  }

  private void copy(Source source, Path fresh, long bytes) throws IOException {
    Path from = root.resolve(source.id());
    if (!Files.isRegularFile(from, LinkOption.NOFOLLOW_LINKS)) {
      throw notFound(source.id());
    }
    long before = Files.size(from);
    if (bytes < before) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "size_mib is %d, expected at least %d, the size of its source"
              .formatted(bytes >> 20, before >> 20));
    }
    try {
      source
          .standstill()
          .during(() -> {
            try {
              copier.copy(from, fresh);
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
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
