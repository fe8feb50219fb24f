package dev.cofferdam.broker.sql;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;

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

  private record Pending<Q, A>(Q request, CompletableFuture<A> answer) {}

  public GroupCommit(String name, Database database, Batch<Q, A> batch) {
    this.database = database;
    this.batch = batch;
    this.writer = Thread.ofPlatform().daemon().name(name).start(this::write);
  }

  /** Waits for its commit. Throws what the batch or {@link Database#transact} throws. */
  public A submit(Q request) throws InterruptedException {
    Pending<Q, A> pending = new Pending<>(request, new CompletableFuture<>());
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
    List<A> answers;
    try {
      List<Q> requests = taken.stream().map(Pending::request).toList();
      answers = database.transact(tx -> batch.run(tx, requests));
    } catch (RuntimeException | Error e) {
      if (taken.size() == 1) {
        taken.getFirst().answer().completeExceptionally(e);
      } else {
        // One of them may be to blame: the others shall not fail with it.
        taken.forEach(one -> commit(List.of(one)));
      }
      return;
    }
    for (int i = 0; i < taken.size(); i++) {
      taken.get(i).answer().complete(answers.get(i));
    }
  }

  private void cancelRest() {
    List<Pending<Q, A>> rest = new ArrayList<>();
    queue.drainTo(rest);
    rest.forEach(one -> one.answer().cancel(false));
  }
}
