package dev.cofferdam.gateway.event;

import com.google.protobuf.CodedOutputStream;
import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import dev.cofferdam.v1.AuditEvent;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decisions that the broker has not acknowledged yet: in memory, and in a file that outlives this
 * process. Numbers are dense; an event that found the spool full leaves a hole, which the broker
 * turns into a row, also after a crash: the highest number without an event is kept beside the
 * file. What cannot be written is kept in memory, and the spool counts as full until the file was
 * written anew. Safe for use by several threads.
 *
 * <p>The file is written, not synchronised: it survives the process, not the power.
 */
public final class EventSpool implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(EventSpool.class);

  /**
   * After so many acknowledged bytes the file is written anew. Whoever adds an event waits for
   * that, and with it all requests of an event loop.
   */
  private static final long REWRITE_BYTES = 4 << 20;

  private static final int BATCH = 256;

  /** Less than a message may have, by as much as one event may have. */
  private static final int BATCH_BYTES = 512 << 10;

  /**
   * How long an event waits for others: each transaction of the broker is a commit to disk, for
   * which the uses of secrets wait, and costs many times what one more row in it does.
   */
  private static final long LINGER_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  /** In place of a spool's name: the number is the highest that the broker keeps. */
  private static final String ACKNOWLEDGED = "acknowledged";

  /** How the file is opened. Everything written goes to its end. */
  interface Opener {
    WritableByteChannel append(Path file) throws IOException;
  }

  private final Path file;
  private final Opener opener;
  private final int capacity;
  private final String name;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition added = lock.newCondition();
  private final Deque<ReportDecisionsRequest> pending = new ArrayDeque<>();
  private final FileChannel dropped;
  private WritableByteChannel channel;
  private long next;

  /** The reader is woken once this number is there. */
  private long awaited;

  /** Bytes of the file, and those of them that nobody needs any more. */
  private long size;

  private long dead;
  private volatile int depth;
  private final AtomicLong lost = new AtomicLong();

  /** The file lacks something that is in memory, or ends in half an entry. */
  private volatile boolean torn;

  /**
   * @param directory its own
   * @param capacity in events
   * @param freshName for a directory that holds no spool yet
   * @throws UncheckedIOException when the directory cannot be used
   */
  public EventSpool(Path directory, int capacity, String freshName) {
    this(
        directory,
        capacity,
        freshName,
        file ->
            FileChannel.open(
                file,
                StandardOpenOption.CREATE,
                StandardOpenOption.WRITE,
                StandardOpenOption.APPEND));
  }

  EventSpool(Path directory, int capacity, String freshName, Opener opener) {
    this.file = directory.resolve("events");
    this.capacity = capacity;
    this.opener = opener;
    try {
      Files.createDirectories(directory);
      Path nameFile = directory.resolve("name");
      if (!Files.exists(nameFile)) {
        Files.writeString(nameFile, freshName);
      }
      this.name = Files.readString(nameFile).strip();
      this.dropped =
          FileChannel.open(
              directory.resolve("dropped"),
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
      this.next = Math.max(load(), lastDropped()) + 1;
      this.channel = rewritten(next - 1);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot use the spool in " + directory, e);
    }
  }

  private long lastDropped() throws IOException {
    ByteBuffer number = ByteBuffer.allocate(Long.BYTES);
    return dropped.read(number, 0) == Long.BYTES ? number.getLong(0) : 0;
  }

  /** The highest number that was ever used. */
  private long load() throws IOException {
    long highest = 0;
    long acknowledged = 0;
    if (!Files.exists(file)) {
      return highest;
    }
    try (InputStream in = Files.newInputStream(file)) {
      while (true) {
        ReportDecisionsRequest event = ReportDecisionsRequest.parseDelimitedFrom(in);
        if (event == null) {
          break;
        }
        if (event.getSpool().equals(ACKNOWLEDGED)) {
          acknowledged = event.getNumber();
          continue;
        }
        highest = Math.max(highest, event.getNumber());
        // Without an event it only keeps the count after everything was acknowledged.
        if (event.hasEvent()) {
          pending.add(event);
        }
      }
    } catch (EOFException | com.google.protobuf.InvalidProtocolBufferException e) {
      // The last write was cut off by a crash; its number becomes a hole.
      highest++;
      log.atWarn().setMessage("spool_tail_lost").addKeyValue("number", highest).log();
    }
    forget(acknowledged);
    return highest;
  }

  public String name() {
    return name;
  }

  /** Numbers and keeps an event. */
  public void add(String tenant, AuditEvent event) {
    lock.lock();
    try {
      long number = next++;
      if (pending.size() >= capacity) {
        drop(number);
        lost.incrementAndGet();
        return;
      }
      ReportDecisionsRequest entry =
          ReportDecisionsRequest.newBuilder()
              .setSpool(name)
              .setNumber(number)
              .setTenant(tenant)
              .setEvent(event)
              .build();
      pending.add(entry);
      depth = pending.size();
      append(entry);
      if (number >= awaited) {
        added.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** In one place, over and over: a guest that fills the spool shall not fill the disk too. */
  private void drop(long number) {
    try {
      dropped.write(ByteBuffer.allocate(Long.BYTES).putLong(0, number), 0);
    } catch (IOException e) {
      log.atError().setMessage("spool_write_failed").setCause(e).log();
    }
  }

  private void append(ReportDecisionsRequest entry) {
    if (torn) {
      // Behind half an entry nothing can be read; all of it is written by the next mending.
      return;
    }
    try {
      ByteBuffer buffer = delimited(entry);
      size += buffer.remaining();
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
    } catch (IOException e) {
      // It is still in memory, and the broker will most likely hear of it.
      torn = true;
      log.atError().setMessage("spool_write_failed").setCause(e).log();
    }
  }

  private static ByteBuffer delimited(ReportDecisionsRequest entry) throws IOException {
    byte[] bytes = new byte[(int) bytes(entry)];
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    out.writeUInt32NoTag(entry.getSerializedSize());
    entry.writeTo(out);
    out.checkNoSpaceLeft();
    return ByteBuffer.wrap(bytes);
  }

  /** Tries to bring the file up to date after a failure. Called about once a second. */
  void mend() {
    lock.lock();
    try {
      if (torn) {
        replace();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether events are being lost, or would be by a crash: then no secret may be used. */
  public boolean full() {
    return torn || depth >= capacity;
  }

  public int depth() {
    return depth;
  }

  public int capacity() {
    return capacity;
  }

  /** Events that found it full since it was opened. */
  public long lost() {
    return lost.get();
  }

  /**
   * What comes after a number, oldest first, at most {@value #BATCH} events and {@value
   * #BATCH_BYTES} bytes or one event. If there is nothing it waits for that a while, and then for
   * more that may come with it.
   */
  List<ReportDecisionsRequest> after(long number, long waitMillis) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      if (await(number + 1, TimeUnit.MILLISECONDS.toNanos(waitMillis)) && waitMillis > 0) {
        await(number + BATCH, LINGER_NANOS);
      }
      List<ReportDecisionsRequest> some = new ArrayList<>();
      long bytes = 0;
      for (ReportDecisionsRequest entry : pending) {
        if (entry.getNumber() > number) {
          bytes += bytes(entry);
          if (some.size() == BATCH || (bytes > BATCH_BYTES && !some.isEmpty())) {
            break;
          }
          some.add(entry);
        }
      }
      return some;
    } finally {
      lock.unlock();
    }
  }

  /** Whether that number was added within the time. Under the lock, by one thread. */
  private boolean await(long number, long nanos) throws InterruptedException {
    long left = nanos;
    while (pending.isEmpty() || pending.getLast().getNumber() < number) {
      if (left <= 0) {
        return false;
      }
      awaited = number;
      left = added.awaitNanos(left);
    }
    return true;
  }

  /** The broker keeps everything up to a number. */
  void acknowledge(long number) {
    lock.lock();
    try {
      forget(number);
      ReportDecisionsRequest mark =
          ReportDecisionsRequest.newBuilder().setSpool(ACKNOWLEDGED).setNumber(number).build();
      append(mark);
      dead += bytes(mark);
      // At least half of the file is of no use then: copying the rest costs no more than what was
      // written meanwhile.
      if (!torn && dead > REWRITE_BYTES && dead > size - dead) {
        replace();
      }
    } finally {
      lock.unlock();
    }
  }

  private void forget(long upTo) {
    while (!pending.isEmpty() && pending.getFirst().getNumber() <= upTo) {
      dead += bytes(pending.removeFirst());
    }
    depth = pending.size();
  }

  private static long bytes(ReportDecisionsRequest entry) {
    int size = entry.getSerializedSize();
    return size + (long) CodedOutputStream.computeUInt32SizeNoTag(size);
  }

  /** Goes on with the old file where the new one cannot be written. */
  private void replace() {
    try {
      WritableByteChannel fresh = rewritten(next - 1);
      WritableByteChannel old = channel;
      channel = fresh;
      torn = false;
      old.close();
    } catch (IOException e) {
      log.atError().setMessage("spool_rewrite_failed").setCause(e).log();
    }
  }

  /** Writes the file anew with what is pending and a mark of the highest number. */
  private WritableByteChannel rewritten(long highest) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (ReportDecisionsRequest entry : pending) {
      entry.writeDelimitedTo(bytes);
    }
    ReportDecisionsRequest.newBuilder().setNumber(highest).build().writeDelimitedTo(bytes);
    Path fresh = file.resolveSibling("events.new");
    Files.write(fresh, bytes.toByteArray());
    WritableByteChannel opened = opener.append(fresh);
    try {
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      opened.close();
      throw e;
    }
    size = bytes.size();
    dead = 0;
    return opened;
  }

  @Override
  public void close() {
    lock.lock();
    try {
      channel.close();
      dropped.close();
    } catch (IOException e) {
      log.atWarn().setMessage("spool_close_failed").setCause(e).log();
    } finally {
      lock.unlock();
    }
  }
}
