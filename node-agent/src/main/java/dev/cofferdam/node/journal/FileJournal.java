package dev.cofferdam.node.journal;

import dev.cofferdam.node.journal.JournalEntry.Ended;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The journal in one file that only grows, rewritten with just the last entries when it is opened
 * and whenever it has grown much. A line that a crash cut off at the end was never acknowledged and
 * is dropped; a bad line before a good one is damage, and refused.
 */
public final class FileJournal implements Journal {
  /**
   * How many ended sandboxes are remembered as fences. An older order for one of them fails by its
   * ticket instead.
   */
  static final int FENCES = 10_000;

  private static final long REWRITE_BYTES = 4 << 20;

  private final Path file;
  private final FileChannel guard;
  private final Consumer<JournalException> onFailure;
  private final ReentrantLock lock = new ReentrantLock();
  private final SequencedMap<String, JournalEntry> latest;
  private FileChannel channel;
  private long size;
  private boolean closed;
  private boolean forcing;
  private volatile @Nullable JournalException failure;

  private FileJournal(
      Path file,
      FileChannel guard,
      SequencedMap<String, JournalEntry> latest,
      Consumer<JournalException> onFailure)
      throws IOException {
    this.file = file;
    this.guard = guard;
    this.onFailure = onFailure;
    this.latest = latest;
    this.channel = rewritten();
    this.size = channel.size();
  }

  /**
   * @param onFailure is told once, by the thread that wrote, when the journal takes no entry any
   *     more; the journal is locked meanwhile, so it must not wait for anybody
   * @throws JournalException when the file is damaged, in use by another process or cannot be had
   */
  @SuppressWarnings("resource") // the guard lives as long as the journal
  public static FileJournal open(Path file, Consumer<JournalException> onFailure) {
    try {
      FileChannel guard =
          FileChannel.open(
              file.resolveSibling(file.getFileName() + ".lock"),
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE);
      try {
        FileLock held = guard.tryLock();
        if (held == null) {
          throw new JournalException(file + " is in use by another process");
        }
        return new FileJournal(file, guard, read(file), onFailure);
      } catch (OverlappingFileLockException e) {
        guard.close();
        throw new JournalException(file + " is in use by this process", e);
      } catch (IOException | JournalException e) {
        guard.close();
        throw e;
      }
    } catch (IOException e) {
      throw new JournalException("cannot open the journal " + file + ": " + e.getMessage(), e);
    }
  }

  @Override
  public void append(JournalEntry entry) {
    add(entry, true);
  }

  @Override
  public void note(JournalEntry entry) {
    add(entry, false);
  }

  private void add(JournalEntry entry, boolean durable) {
    byte[] line = JournalCodec.encode(entry);
    lock.lock();
    try {
      if (closed) {
        throw new JournalException("the journal " + file + " is closed");
      }
      if (failure != null) {
        throw new JournalException("the journal " + file + " failed before", failure);
      }
      write(channel, line);
      if (durable) {
        channel.force(false);
      } else {
        forceSoon();
      }
      size += line.length;
      remember(latest, entry);
      if (size > REWRITE_BYTES) {
        channel.close();
        channel = rewritten();
        size = channel.size();
      }
    } catch (IOException e) {
      throw failed(e);
    } finally {
      lock.unlock();
    }
  }

  /** Under the lock. */
  private JournalException failed(IOException e) {
    // What of it is on disk is unknown (and a later fsync would not tell): only a fresh reading
    // does.
    JournalException failed =
        new JournalException("cannot write the journal " + file + ": " + e.getMessage(), e);
    failure = failed;
    onFailure.accept(failed);
    return failed;
  }

  /** Under the lock; one for all that are noted until it begins. */
  private void forceSoon() {
    if (!forcing) {
      forcing = true;
      Thread.ofVirtual().name("journal-force").start(this::force);
    }
  }

  /** Not under the lock: notes go on meanwhile. */
  private void force() {
    FileChannel present;
    lock.lock();
    try {
      forcing = false;
      present = channel;
    } finally {
      lock.unlock();
    }
    try {
      present.force(false);
    } catch (ClosedChannelException e) {
      // Rewritten meanwhile, and durable as a whole; or the journal was closed.
    } catch (IOException e) {
      lock.lock();
      try {
        if (failure == null) {
          var _ = failed(e);
        }
      } finally {
        lock.unlock();
      }
    }
  }

  @Override
  public List<JournalEntry> latest() {
    lock.lock();
    try {
      return List.copyOf(latest.values());
    } finally {
      lock.unlock();
    }
  }

  /** Why it takes no entry any more: empty while it does. */
  public Optional<String> failure() {
    return Optional.ofNullable(failure).map(JournalException::getMessage);
  }

  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      channel.close();
      guard.close();
    } catch (IOException e) {
      throw new JournalException("cannot close the journal " + file + ": " + e.getMessage(), e);
    } finally {
      lock.unlock();
    }
  }

  private FileChannel rewritten() throws IOException {
    Path fresh = file.resolveSibling(file.getFileName() + ".new");
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    for (JournalEntry entry : latest.values()) {
      lines.writeBytes(JournalCodec.encode(entry));
    }
    try (FileChannel out =
        FileChannel.open(
            fresh,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      write(out, lines.toByteArray());
      out.force(true);
    }
    Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    Path directory = file.toAbsolutePath().getParent();
    if (directory != null) {
      try (FileChannel handle = FileChannel.open(directory, StandardOpenOption.READ)) {
        handle.force(true);
      }
    }
    return FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
  }

  private static SequencedMap<String, JournalEntry> read(Path file) throws IOException {
    SequencedMap<String, JournalEntry> latest = new LinkedHashMap<>();
    if (!Files.exists(file)) {
      return latest;
    }
    String text = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
    int bad = 0;
    int number = 0;
    for (int from = 0; from < text.length(); ) {
      int end = text.indexOf('\n', from);
      number++;
      // Without its line feed even a readable last line was never acknowledged.
      Optional<JournalEntry> entry =
          end < 0
              ? Optional.empty()
              : JournalCodec.decode(
                  new String(
                      text.substring(from, end).getBytes(StandardCharsets.ISO_8859_1),
                      StandardCharsets.UTF_8));
      if (entry.isEmpty()) {
        bad = bad == 0 ? number : bad;
      } else if (bad != 0) {
        throw new JournalException(
            "%s is damaged: line %d is bad, line %d after it is good".formatted(file, bad, number));
      } else {
        remember(latest, entry.get());
      }
      from = end < 0 ? text.length() : end + 1;
    }
    return latest;
  }

  private static void remember(SequencedMap<String, JournalEntry> latest, JournalEntry entry) {
    latest.remove(entry.sandbox());
    latest.put(entry.sandbox(), entry);
    if (latest.size() > FENCES) {
      forgetOldestFence(latest);
    }
  }

  private static void forgetOldestFence(Map<String, JournalEntry> latest) {
    for (var entries = latest.values().iterator(); entries.hasNext(); ) {
      if (entries.next() instanceof Ended) {
        entries.remove();
        return;
      }
    }
  }

  private static void write(FileChannel channel, byte[] bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }
}
