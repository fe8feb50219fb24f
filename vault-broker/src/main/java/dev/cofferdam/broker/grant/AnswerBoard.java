package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ApprovalState;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the answers for all calls that wait at this broker with one look at the database, however
 * many they are: guests decide how many.
 */
final class AnswerBoard implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(AnswerBoard.class);

  /** How long an answer given at another broker may wait to be found. */
  private static final Duration LOOK = Duration.ofMillis(200);

  private static final Duration IDLE = Duration.ofMinutes(1);

  private final Database database;
  private final Signal news;
  private final Map<String, CompletableFuture<ApprovalState>> waiting = new ConcurrentHashMap<>();
  private final Thread thread;

  /**
   * @param news raised with every change of this broker
   */
  AnswerBoard(Database database, Signal news) {
    this.database = database;
    this.news = news;
    this.thread = Thread.ofVirtual().name("approvals").start(this::run);
  }

  /** Completed once it waits no longer. Until {@link #leave} it is looked for. */
  CompletableFuture<ApprovalState> enter(String id) {
    CompletableFuture<ApprovalState> answer =
        waiting.computeIfAbsent(id, _ -> new CompletableFuture<>());
    news.raise();
    return answer;
  }

  void leave(String id) {
    waiting.remove(id);
  }

  private void run() {
    try {
      while (!Thread.currentThread().isInterrupted()) {
        long seen = news.seen();
        if (waiting.isEmpty()) {
          news.await(seen, IDLE);
        } else {
          look();
          news.await(seen, LOOK);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void look() {
    record Found(String id, ApprovalState state) {}

    List<String> ids = List.copyOf(waiting.keySet());
    Map<String, ApprovalState> states;
    try {
      states =
          database
              .look(tx ->
                  tx.list(
                      "select id, state from approval where id = any (?)",
                      row -> new Found(row.getString(1), Approvals.state(row.getInt(2))),
                      ids))
              .stream()
              .collect(Collectors.toMap(Found::id, Found::state));
    } catch (Refusal e) {
      // The database is away; each call ends by its own time.
      log.atWarn().setMessage("approvals_unseen").addKeyValue("why", e.getMessage()).log();
      return;
    }
    for (String id : ids) {
      // One whose row is gone has no sandbox any more.
      ApprovalState state = states.getOrDefault(id, ApprovalState.APPROVAL_STATE_LAPSED);
      CompletableFuture<ApprovalState> answer = waiting.get(id);
      if (answer != null && state != ApprovalState.APPROVAL_STATE_WAITING) {
        answer.complete(state);
      }
    }
  }

  @Override
  public void close() {
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
