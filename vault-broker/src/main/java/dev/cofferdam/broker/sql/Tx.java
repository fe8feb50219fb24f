package dev.cofferdam.broker.sql;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/** One open transaction. Valid inside the {@link Database.Work} that got it, on its thread. */
public final class Tx {
  private final Connection connection;
  private final List<Runnable> afterCommit = new ArrayList<>();
  private boolean ended;

  Tx(Connection connection) {
    this.connection = connection;
  }

  /** Reads one row. */
  @FunctionalInterface
  public interface Row<T> {
    T read(ResultSet row) throws SQLException;
  }

  /** How many rows it changed. Arguments as {@link PreparedStatement#setObject} takes them. */
  public int update(String sql, Object... arguments) throws SQLException {
    try (PreparedStatement statement = prepare(sql, arguments)) {
      return statement.executeUpdate();
    }
  }

  public <T> List<T> list(String sql, Row<T> row, Object... arguments) throws SQLException {
    try (PreparedStatement statement = prepare(sql, arguments);
        ResultSet results = statement.executeQuery()) {
      List<T> list = new ArrayList<>();
      while (results.next()) {
        list.add(row.read(results));
      }
      return list;
    }
  }

  /**
   * A statement that reads, to be run together with others.
   *
   * @param rows what it read, once it ran
   */
  public record Select<T>(String sql, Row<T> row, List<Object> arguments, List<T> rows) {
    public static <T> Select<T> of(String sql, Row<T> row, Object... arguments) {
      return new Select<>(sql, row, List.of(arguments), new ArrayList<>());
    }

    private void take(ResultSet results) throws SQLException {
      while (results.next()) {
        rows.add(row.read(results));
      }
    }
  }

  /** Runs them in their order, each as by itself, in one round trip. */
  public void run(Select<?>... selects) throws SQLException {
    String sql = Stream.of(selects).map(Select::sql).collect(Collectors.joining("; "));
    Object[] arguments =
        Stream.of(selects).flatMap(select -> select.arguments().stream()).toArray();
    try (PreparedStatement statement = prepare(sql, arguments)) {
      boolean more = statement.execute();
      for (Select<?> select : selects) {
        if (!more) {
          throw new SQLException("expected rows of: " + select.sql());
        }
        try (ResultSet results = statement.getResultSet()) {
          select.take(results);
        }
        more = statement.getMoreResults(Statement.KEEP_CURRENT_RESULT);
      }
    }
  }

  /**
   * Runs a statement and commits, in one round trip; what it returns is dropped. Where it fails,
   * nothing is committed. The last act of a transaction: any later one is refused.
   */
  public void runAndCommit(String sql, Object... arguments) throws SQLException {
    try (PreparedStatement statement = prepare(sql + "; commit", arguments)) {
      var _ = statement.execute();
      ended = true;
    }
  }

  /** The first row, where there is one. */
  public <T> Optional<T> first(String sql, Row<T> row, Object... arguments) throws SQLException {
    return list(sql, row, arguments).stream().findFirst();
  }

  /** The one row of a statement that always has one. */
  public <T> T only(String sql, Row<T> row, Object... arguments) throws SQLException {
    return first(sql, row, arguments)
        .orElseThrow(() -> new SQLException("expected a row from: " + sql));
  }

  /** Runs once the transaction is durable, in order; not at all when it is rolled back. */
  public void afterCommit(Runnable action) {
    afterCommit.add(action);
  }

  /** A {@code text[]} as a list. */
  public static List<String> texts(ResultSet row, String column) throws SQLException {
    Array array = row.getArray(column);
    return List.of((String[]) array.getArray());
  }

  /** A {@code bytea[]} as a list. */
  public static List<byte[]> bytes(ResultSet row, String column) throws SQLException {
    Array array = row.getArray(column);
    return List.of((byte[][]) array.getArray());
  }

  public static Instant instant(ResultSet row, String column) throws SQLException {
    return row.getTimestamp(column).toInstant();
  }

  void committed() {
    afterCommit.forEach(Runnable::run);
  }

  private PreparedStatement prepare(String sql, Object... arguments) throws SQLException {
    if (ended) {
      throw new IllegalStateException("the transaction was committed, expected no more of it");
    }
    PreparedStatement statement = connection.prepareStatement(sql);
    try {
      set(statement, arguments);
      return statement;
    } catch (SQLException | RuntimeException e) {
      statement.close();
      throw e;
    }
  }

  /** Arrays of their own types: those the driver sends as they are, others as text. */
  private void set(PreparedStatement statement, Object... arguments) throws SQLException {
    for (int i = 0; i < arguments.length; i++) {
      switch (arguments[i]) {
        case Instant instant -> statement.setObject(i + 1, instant.atOffset(ZoneOffset.UTC));
        case List<?> texts ->
            statement.setArray(
                i + 1, connection.createArrayOf("text", texts.toArray(String[]::new)));
        case byte[][] bytes -> statement.setArray(i + 1, connection.createArrayOf("bytea", bytes));
        case long[] numbers ->
            statement.setArray(
                i + 1,
                connection.createArrayOf(
                    "bigint", LongStream.of(numbers).boxed().toArray(Long[]::new)));
        case Object other -> statement.setObject(i + 1, other);
      }
    }
  }
}
