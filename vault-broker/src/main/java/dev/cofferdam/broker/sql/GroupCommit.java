package dev.cofferdam.broker.sql;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.BooleanSupplier;

/**
 * Many small transactions as few: whatever was handed in while the last commit was on its way goes
 * into the next. Each request still gets an answer of its own, after its commit.
 *
 * @param <Q> what is asked
 * @param <A> what is answered
 */
public final class GroupCommit<Q, A> implements AutoCloseable {
  private static final int MAX_BATCH = 128;

  private final Database database;
  private final Batch<Q, A> batch;
  private final BlockingQueue<Pending<Q, A>> queue = new LinkedBlockingQueue<>(4096);
  private final Thread writer;

  /** Does all of the requests in one transaction; the answers in their order. */
  @FunctionalInterface
  public interface Batch<Q, A> {
    List<A> run(Tx tx, List<Q> requests) throws SQLException;
  }

  private record Pending<Q, A>(Q request, BooleanSupplier ended, CompletableFuture<A> answer) {}

  public GroupCommit(String name, Database database, Batch<Q, A> batch) {
    this.database = database;
    this.batch = batch;
    this.writer = Thread.ofPlatform().daemon().name(name).start(this::write);
  }

  /**
   * Waits for its commit. Throws what the batch or {@link Database#transact} throws.
   *
   * @param ended whether nobody waits for the answer any more: then it is left out, unless its
   *     transaction has begun
   */
  public A submit(Q request, BooleanSupplier ended) throws InterruptedException {
    Pending<Q, A> pending = new Pending<>(request, ended, new CompletableFuture<>());
    if (!writer.isAlive()) {
      throw new CancellationException("closed");
    }
    queue.put(pending);
    if (!writer.isAlive()) {
      cancelRest();
    }
    try {
      return pending.answer().get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException("a batch throws unchecked", e);
      }
    }
  }

  /** How many are not taken up yet. */
  int waiting() {
    return queue.size();
  }

  @Override
  public void close() {
    writer.interrupt();
    try {
      writer.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    cancelRest();
  }

  private void write() {
    try {
      while (true) {
        List<Pending<Q, A>> taken = new ArrayList<>();
        taken.add(queue.take());
        queue.drainTo(taken, MAX_BATCH - 1);
        commit(taken);
      }
    } catch (InterruptedException e) {
      // Closed.
    }
  }

  private void commit(List<Pending<Q, A>> taken) {
    List<Pending<Q, A>> waiting = stillWaiting(taken);
    if (waiting.isEmpty()) {
      return;
    }
    try {
      answer(waiting);
    } catch (SQLException | RuntimeException | Error e) {
      if (waiting.size() > 1 && oneMayBeToBlame(e)) {
        oneByOne(waiting);
      } else {
        fail(waiting, e);
      }
    }
  }

  /** The others shall not fail with the one that is to blame. */
  private void oneByOne(List<Pending<Q, A>> taken) {
    for (int i = 0; i < taken.size(); i++) {
      List<Pending<Q, A>> one = stillWaiting(taken.subList(i, i + 1));
      if (one.isEmpty()) {
        continue;
      }
      try {
        answer(one);
      } catch (SQLException | RuntimeException | Error e) {
        if (!oneMayBeToBlame(e)) {
          // The database went away meanwhile: each further attempt would wait for it anew.
          fail(taken.subList(i, taken.size()), e);
          return;
        }
        fail(one, e);
      }
    }
  }

  private void answer(List<Pending<Q, A>> taken) throws SQLException {
    List<Q> requests = taken.stream().map(Pending::request).toList();
    List<A> answers = database.attempt(tx -> batch.run(tx, requests));
    for (int i = 0; i < taken.size(); i++) {
      taken.get(i).answer().complete(answers.get(i));
    }
  }

  private List<Pending<Q, A>> stillWaiting(List<Pending<Q, A>> taken) {
    List<Pending<Q, A>> waiting = new ArrayList<>();
    for (Pending<Q, A> one : taken) {
      if (one.ended().getAsBoolean()) {
        one.answer()
            .completeExceptionally(
                new Refusal(
                    ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE,
                    "the call had ended before its turn came"));
      } else {
        waiting.add(one);
      }
    }
    return waiting;
  }

  private void fail(List<Pending<Q, A>> taken, Throwable cause) {
    Throwable told = cause instanceof SQLException e ? Database.unavailable(e) : cause;
    taken.forEach(one -> one.answer().completeExceptionally(told));
  }

  /**
   * Data and constraints (SQLSTATE classes 22 and 23) are one request's; what has no SQLSTATE was
   * thrown by the batch itself. All else is the database's state: a lost connection (08), a server
   * that stops (57) or has no resources (53), an exhausted pool. It would be no better for each.
   */
  private static boolean oneMayBeToBlame(Throwable cause) {
    if (cause instanceof SQLException e) {
      String state = e.getSQLState();
      return state != null && (state.startsWith("22") || state.startsWith("23"));
    }
    return cause instanceof RuntimeException;
  }

  private void cancelRest() {
    List<Pending<Q, A>> rest = new ArrayList<>();
    queue.drainTo(rest);
    rest.forEach(one -> one.answer().cancel(false));
  }
}
