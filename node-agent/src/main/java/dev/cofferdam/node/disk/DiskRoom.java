package dev.cofferdam.node.disk;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the host's file system from running full. Disks of guests are sparse: what one was promised
 * and has not written yet is on no account of the file system's, so it is counted here. A guest
 * that fills its disk then meets its own end, never the host's. Safe for use by several threads.
 *
 * <p>Files are counted every now and then, by find(1), for Java does not tell what of a file is
 * allocated. What is being made, and what was made since, is added in full; a refusal rests on a
 * count of that moment, so that guests that have ended hold nothing back.
 */
public final class DiskRoom {
  private static final Logger log = LoggerFactory.getLogger(DiskRoom.class);
  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final int BLOCK = 512;

  /** What the file system says. */
  @FunctionalInterface
  interface Usable {
    long bytes() throws IOException;
  }

  private final List<Path> roots;
  private final Usable usable;
  private final long reserve;
  private long unwritten;
  private long underWay;
  private long since;

  /**
   * @param roots directories of sparse files, all on one file system
   * @param reserveMib kept free for everything else
   */
  public DiskRoom(List<Path> roots, int reserveMib) {
    this(
        roots,
        () -> Files.getFileStore(roots.getFirst()).getUsableSpace(),
        (long) reserveMib << 20);
  }

  DiskRoom(List<Path> roots, Usable usable, long reserve) {
    this.roots = List.copyOf(roots);
    this.usable = usable;
    this.reserve = reserve;
  }

  /** A disk that is being made: closed once its file is there, or will not be. */
  public interface Promise extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Promises a guest that many MiB.
   *
   * @throws Refusal NO_CAPACITY when all guests together could not have what they were promised
   */
  public Promise promise(int mib) {
    long wanted = (long) mib << 20;
    if (!take(wanted)) {
      recount();
      takeOrRefuse(wanted, mib);
    }
    return new Taken(wanted);
  }

  private final class Taken implements Promise {
    private final long bytes;
    private boolean closed;

    Taken(long bytes) {
      this.bytes = bytes;
    }

    @Override
    public void close() {
      synchronized (DiskRoom.this) {
        if (!closed) {
          closed = true;
          underWay -= bytes;
          since += bytes;
        }
      }
    }
  }

  private synchronized boolean take(long wanted) {
    if (wanted > free() - reserve - promised()) {
      return false;
    }
    underWay += wanted;
    return true;
  }

  private long promised() {
    return unwritten + underWay + since;
  }

  private synchronized void takeOrRefuse(long wanted, int mib) {
    if (!take(wanted)) {
      long free = free();
      throw new Refusal(
          ErrorReason.ERROR_REASON_NO_CAPACITY,
          ("the node's file system has %d MiB free, of which %d are promised and %d reserved;"
                  + " expected at least %d more")
              .formatted(free >> 20, promised() >> 20, reserve >> 20, mib));
    }
  }

  /** What could still be promised, in MiB; 0 where nothing can. */
  public synchronized long availableMib() {
    return Math.max(free() - reserve - promised(), 0) >> 20;
  }

  /** Counts the files. What fails leaves the count that was. */
  public void recount() {
    try {
      long seen;
      synchronized (this) {
        seen = since;
      }
      long counted = count();
      synchronized (this) {
        unwritten = counted;
        since -= Math.min(seen, since);
      }
    } catch (IOException e) {
      log.atWarn().setMessage("disks_not_counted").setCause(e).log();
    }
  }

  private long free() {
    try {
      return usable.bytes();
    } catch (IOException e) {
      Refusal refusal =
          new Refusal(
              ErrorReason.ERROR_REASON_NO_CAPACITY,
              "the node's file system does not say what is free: " + e.getMessage());
      refusal.initCause(e);
      throw refusal;
    }
  }

  private long count() throws IOException {
    List<String> command = new ArrayList<>(List.of("/usr/bin/find"));
    roots.forEach(root -> command.add(root.toString()));
    // A directory that goes meanwhile is no failure.
    command.addAll(
        List.of("-ignore_readdir_race", "-maxdepth", "2", "-type", "f", "-printf", "%s %b\\n"));
    Path output = Files.createTempFile("disks", ".count");
    try {
      HostCommand.run(command, PATIENCE, output);
      long total = 0;
      for (String line : Files.readAllLines(output, StandardCharsets.US_ASCII)) {
        int blank = line.indexOf(' ');
        long size = Long.parseLong(line.substring(0, blank));
        long allocated = Long.parseLong(line.substring(blank + 1)) * BLOCK;
        total += Math.max(size - allocated, 0);
      }
      return total;
    } finally {
      Files.deleteIfExists(output);
    }
  }
}
