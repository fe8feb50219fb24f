package dev.cofferdam.gateway.event;

import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import dev.cofferdam.v1.AuditEvent;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decisions that the broker has not acknowledged yet: in memory, and in a file that outlives this
 * process. Numbers are dense; an event that found the spool full leaves a hole, which the broker
 * turns into a row. Safe for use by several threads.
 *
 * <p>The file is written, not synchronised: it survives the process, not the power.
 */
public final class EventSpool implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(EventSpool.class);

  /** After so many acknowledged bytes the file is written anew. */
  private static final long REWRITE_BYTES = 4 << 20;

  /** In place of a spool's name: the number is the highest that the broker keeps. */
  private static final String ACKNOWLEDGED = "acknowledged";

  private final Path file;
  private final int capacity;
  private final String name;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition added = lock.newCondition();
  private final Deque<ReportDecisionsRequest> pending = new ArrayDeque<>();
  private FileChannel channel;
  private long next;
  private volatile int depth;

  /**
   * @param directory its own
   * @param capacity in events
   * @param freshName for a directory that holds no spool yet
   * @throws UncheckedIOException when the directory cannot be used
   */
  public EventSpool(Path directory, int capacity, String freshName) {
    this.file = directory.resolve("events");
    this.capacity = capacity;
    try {
      Files.createDirectories(directory);
      Path nameFile = directory.resolve("name");
      if (!Files.exists(nameFile)) {
        Files.writeString(nameFile, freshName);
      }
      this.name = Files.readString(nameFile).strip();
      this.next = load() + 1;
      this.channel = open();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot use the spool in " + directory, e);
    }
  }

  private FileChannel open() throws IOException {
    return FileChannel.open(
        file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
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
        highest = event.getNumber();
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
    rewrite(highest);
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
      added.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void append(ReportDecisionsRequest entry) {
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      entry.writeDelimitedTo(bytes);
      ByteBuffer buffer = ByteBuffer.wrap(bytes.toByteArray());
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
    } catch (IOException e) {
      // It is still in memory, and the broker will most likely hear of it.
      log.atError().setMessage("spool_write_failed").setCause(e).log();
    }
  }

  /** Whether events are being lost: then no secret may be used. */
  public boolean full() {
    return depth >= capacity;
  }

  public int depth() {
    return depth;
  }

  /** What comes after a number, oldest first, at most 256; waits a while if there is nothing. */
  List<ReportDecisionsRequest> after(long number, long waitMillis) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      long left = TimeUnit.MILLISECONDS.toNanos(waitMillis);
      while (left > 0 && (pending.isEmpty() || pending.getLast().getNumber() <= number)) {
        left = added.awaitNanos(left);
      }
      List<ReportDecisionsRequest> some = new ArrayList<>();
      for (ReportDecisionsRequest entry : pending) {
        if (entry.getNumber() > number) {
          some.add(entry);
          if (some.size() == 256) {
            break;
          }
        }
      }
      return some;
    } finally {
      lock.unlock();
    }
  }

  /** The broker keeps everything up to a number. */
  void acknowledge(long number) {
    lock.lock();
    try {
      forget(number);
      append(ReportDecisionsRequest.newBuilder().setSpool(ACKNOWLEDGED).setNumber(number).build());
      if (channel.size() > REWRITE_BYTES || (pending.isEmpty() && channel.size() > 4096)) {
        channel.close();
        rewrite(next - 1);
        channel = open();
      }
    } catch (IOException e) {
      log.atError().setMessage("spool_rewrite_failed").setCause(e).log();
    } finally {
      lock.unlock();
    }
  }

  private void forget(long upTo) {
    while (!pending.isEmpty() && pending.getFirst().getNumber() <= upTo) {
      pending.removeFirst();
    }
    depth = pending.size();
  }

  /** Writes the file anew with what is pending and a mark of the highest number. */
  private void rewrite(long highest) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (ReportDecisionsRequest entry : pending) {
      entry.writeDelimitedTo(bytes);
    }
    ReportDecisionsRequest.newBuilder().setNumber(highest).build().writeDelimitedTo(bytes);
    Path fresh = file.resolveSibling("events.new");
    Files.write(fresh, bytes.toByteArray());
    Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  @Override
  public void close() {
    lock.lock();
    try {
      channel.close();
    } catch (IOException e) {
      log.atWarn().setMessage("spool_close_failed").setCause(e).log();
    } finally {
      lock.unlock();
    }
  }
}
