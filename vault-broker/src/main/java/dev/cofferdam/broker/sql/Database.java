package dev.cofferdam.broker.sql;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import org.flywaydb.core.Flyway;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The broker's own PostgreSQL database. Isolation is READ COMMITTED; what has to be exact takes row
 * locks. Safe for use by several threads.
 *
 * <p>Locks are taken in one order by all: sandbox, secret, grant, attachment, node, gateway, audit.
 */
public final class Database implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Database.class);
  private static final int TRIES = 5;
  // How long a statement may run; the driver's socket timeout is the backstop.
  private static final Duration STATEMENT_TIMEOUT = Duration.ofSeconds(5);

  private final HikariDataSource source;

  private Database(HikariDataSource source) {
    this.source = source;
  }

  /** What is done in a transaction. May run several times: it has no effect outside. */
  @FunctionalInterface
  public interface Work<T> {
    T run(Tx tx) throws SQLException;
  }

  /**
   * Connects and brings the schema up to date.
   *
   * @param url {@code jdbc:postgresql://host:port/database}
   * @param poolSize connections, at least 2
   * @param meters of the connections: {@code hikaricp.*}
   */
  public static Database open(
      String url, String user, String password, int poolSize, MeterRegistry meters) {
    HikariConfig config = new HikariConfig();
    config.setPoolName("broker");
    config.setMetricRegistry(meters);
    config.setJdbcUrl(url);
    config.setUsername(user);
    config.setPassword(password);
    config.setMaximumPoolSize(poolSize);
    // All of them from the start: a burst does not wait for connections to be made.
    config.setMinimumIdle(poolSize);
    config.setConnectionTimeout(3000);
    config.setAutoCommit(false);
    config.setTransactionIsolation("TRANSACTION_READ_COMMITTED");
    config.addDataSourceProperty("ApplicationName", "vault-broker");
    // There are few statements and each comes again: it is parsed once in a connection, and planned
    // once too. By itself the server would plan one with a list anew each time, which takes longer
    // than to run it.
    config.addDataSourceProperty("prepareThreshold", "1");
    config.addDataSourceProperty("socketTimeout", "10");
    config.addDataSourceProperty("connectTimeout", "3");
    // An error's detail quotes the row that it is about.
    config.addDataSourceProperty("logServerErrorDetail", "false");
    config.addDataSourceProperty(
        "options",
        "-c statement_timeout=%d -c plan_cache_mode=force_generic_plan"
            .formatted(STATEMENT_TIMEOUT.toMillis()));
    HikariDataSource source = new HikariDataSource(config);
    try {
      Flyway.configure()
          .dataSource(source)
          .locations("classpath:db/migration/broker")
          .load()
          .migrate();
      return new Database(source);
    } catch (RuntimeException e) {
      source.close();
      throw e;
    }
  }

  /**
   * Runs the work and commits; what it throws rolls back. Repeated where the database chose it as
   * the victim of a deadlock.
   *
   * @throws Refusal DATABASE_UNAVAILABLE when it is not known to be committed
   */
  public <T> T transact(Work<T> work) {
    try {
      return attempt(work);
    } catch (SQLException e) {
      throw unavailable(e);
    }
  }

  /**
   * Runs statements that change nothing and need not agree with one another: each is a transaction
   * of its own, without the round trip of a commit.
   *
   * @throws Refusal DATABASE_UNAVAILABLE when the database does not answer
   */
  public <T> T look(Work<T> work) {
    try (Connection connection = source.getConnection()) {
      // The pool puts it back.
      connection.setAutoCommit(true);
      return work.run(new Tx(connection));
    } catch (SQLException e) {
      throw unavailable(e);
    }
  }

  /** As {@link #transact}, for one who has to know what the database said. */
  <T> T attempt(Work<T> work) throws SQLException {
    for (int attempt = 1; ; attempt++) {
      try {
        return once(work);
      } catch (SQLException e) {
        if (!retriable(e) || attempt == TRIES) {
          throw e;
        }
      }
    }
  }

  /** Empty while a connection can be had. */
  public Optional<String> problem() {
    try (Connection connection = source.getConnection()) {
      return connection.isValid(1) ? Optional.empty() : Optional.of("the database does not answer");
    } catch (SQLException e) {
      return Optional.of("no connection to the database");
    }
  }

  @Override
  public void close() {
    source.close();
  }

  private <T> T once(Work<T> work) throws SQLException {
    try (Connection connection = source.getConnection()) {
      Tx tx = new Tx(connection);
      T result;
      try {
        result = work.run(tx);
        connection.commit();
      } catch (SQLException | RuntimeException | Error e) {
        rollback(connection, e);
        throw e;
      }
      tx.committed();
      return result;
    }
  }

  private static void rollback(Connection connection, Throwable cause) {
    try {
      connection.rollback();
    } catch (SQLException e) {
      // The pool throws the connection away; the first failure is the one to tell.
      cause.addSuppressed(e);
    }
  }

  private static boolean retriable(SQLException e) {
    return "40001".equals(e.getSQLState()) || "40P01".equals(e.getSQLState());
  }

  /** Logs what the database said and tells the caller no more than that it failed. */
  static Refusal unavailable(SQLException e) {
    log.atError()
        .setMessage("database_failed")
        .addKeyValue("state", e.getSQLState())
        .addKeyValue("message", e.getMessage())
        .log();
    return new Refusal(
        ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE, "the broker's database did not do its part");
  }
}
