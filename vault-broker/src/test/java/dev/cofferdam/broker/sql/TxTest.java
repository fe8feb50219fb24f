package dev.cofferdam.broker.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.testkit.TestPostgres;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** What is committed when, and what the server does with a statement that comes again. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class TxTest {
  private TestPostgres postgres;
  private TestPostgres.Database empty;
  private Database database;

  @BeforeAll
  void start() {
    postgres = TestPostgres.start();
    empty = postgres.createDatabase();
    database =
        Database.open(empty.url(), empty.user(), empty.password(), 2, new SimpleMeterRegistry());
  }

  @AfterAll
  void stop() {
    database.close();
    postgres.close();
  }

  @BeforeEach
  void table() throws SQLException {
    execute("create table entry (id int primary key deferrable initially deferred)");
  }

  @AfterEach
  void noTable() throws SQLException {
    execute("drop table entry");
  }

  private void execute(String sql) throws SQLException {
    try (Connection connection = empty.connect();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  /** As somebody else sees it. */
  private int entries() throws SQLException {
    try (Connection connection = empty.connect();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("select count(*) from entry")) {
      assertThat(row.next()).isTrue();
      return row.getInt(1);
    }
  }

  @Test
  void whatRunsWithTheCommitIsCommittedWhenItReturns() throws SQLException {
    int seen =
        database.attempt(tx -> {
          tx.update("insert into entry values (?)", 1);
          assertThat(entries()).isZero();
          tx.runAndCommit("insert into entry values (?)", 2);
          return entries();
        });
    assertThat(seen).isEqualTo(2);
  }

  @Test
  void nothingComesAfterTheCommit() throws SQLException {
    assertThatThrownBy(() ->
            database.attempt(tx -> {
              tx.runAndCommit("insert into entry values (?)", 1);
              return tx.update("insert into entry values (?)", 2);
            }))
        .isInstanceOf(IllegalStateException.class);
    assertThat(entries()).isEqualTo(1);
  }

  @Test
  void whereTheStatementFailsNothingIsCommitted() throws SQLException {
    assertThatThrownBy(() ->
            database.attempt(tx -> {
              tx.update("insert into entry values (?)", 1);
              tx.runAndCommit("select 1 / ?::int", 0);
              return "";
            }))
        .isInstanceOf(SQLException.class);
    assertThat(entries()).isZero();
  }

  @Test
  void whereTheCommitFailsItIsToldAndNothingIsCommitted() throws SQLException {
    assertThatThrownBy(() ->
            database.attempt(tx -> {
              tx.update("insert into entry values (?)", 1);
              tx.runAndCommit("insert into entry values (?)", 1);
              return "";
            }))
        .isInstanceOf(SQLException.class);
    assertThat(entries()).isZero();
  }

  /** Where a failure was caught, the commit would else end in a rollback without a word. */
  @Test
  void aTransactionThatHasFailedCommitsNothing() throws SQLException {
    assertThatThrownBy(() ->
            database.attempt(tx -> {
              tx.update("insert into entry values (?)", 1);
              assertThatThrownBy(() -> tx.list("select 1 / ?::int", row -> "", 0))
                  .isInstanceOf(SQLException.class);
              tx.runAndCommit("insert into entry values (?)", 2);
              return "";
            }))
        .isInstanceOf(SQLException.class);
    assertThat(entries()).isZero();
  }

  @Test
  void aStatementIsPlannedOnce() {
    String sql = "select id from entry where id = any (?::int[])";
    String plans =
        database.transact(tx -> {
          for (int i = 0; i < 20; i++) {
            tx.list(sql, row -> row.getInt(1), List.of("1", "2"));
          }
          return tx.only(
              "select generic_plans || ' once, ' || custom_plans || ' anew'"
                  + " from pg_prepared_statements where statement like ?",
              row -> row.getString(1),
              "select id from entry where id = any%");
        });
    assertThat(plans).isEqualTo("20 once, 0 anew");
  }
}
