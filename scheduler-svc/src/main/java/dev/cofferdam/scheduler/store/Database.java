package dev.cofferdam.scheduler.store;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.util.Optional;
import org.flywaydb.core.Flyway;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Connections to PostgreSQL. Every wait is bounded: a database that is away, hangs or is overrun
 * gives a {@link Refusal} with DATABASE_UNAVAILABLE within seconds, never a hang. Safe for use by
 * several threads.
 */
public final class Database implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Database.class);
  private static final long CONNECTION_TIMEOUT_MS = 3_000;
  private static final String CONNECT_TIMEOUT_S = "3";

  /** Of one read from the socket: longer than any statement may run. */
  private static final String SOCKET_TIMEOUT_S = "8";

  private static final String SERVER_LIMITS =
      "-c statement_timeout=5000 -c lock_timeout=4000"
          + " -c idle_in_transaction_session_timeout=10000";

  /** Work on one connection. */
  @FunctionalInterface
  public interface Work<T> {
    T run(Connection connection) throws SQLException;
  }

  private final HikariDataSource pool;

  private Database(HikariDataSource pool) {
    this.pool = pool;
  }

  /**
   * Connects and brings the schema up to date.
   *
   * @throws IOException when the password file cannot be read
   * @throws Refusal when the database cannot be reached
   */
  public static Database open(DatabaseConfig config, MeterRegistry meters) throws IOException {
    HikariConfig hikari = new HikariConfig();
    hikari.setPoolName("scheduler");
    hikari.setJdbcUrl(config.url());
    hikari.setUsername(config.user());
    hikari.setPassword(Files.readString(config.passwordFile()).strip());
    hikari.setMaximumPoolSize(config.poolSize());
    hikari.setConnectionTimeout(CONNECTION_TIMEOUT_MS);
    hikari.setValidationTimeout(1_000);
    hikari.setMetricRegistry(meters);
    hikari.addDataSourceProperty("connectTimeout", CONNECT_TIMEOUT_S);
    hikari.addDataSourceProperty("socketTimeout", SOCKET_TIMEOUT_S);
    hikari.addDataSourceProperty("options", SERVER_LIMITS);
    hikari.addDataSourceProperty("ApplicationName", "scheduler-svc");
    HikariDataSource pool;
    try {
      pool = new HikariDataSource(hikari);
    } catch (RuntimeException e) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE,
          "cannot connect to " + config.url() + " as " + config.user() + ": " + e.getMessage());
    }
    try {
      Flyway.configure().dataSource(pool).locations("classpath:db/migration").load().migrate();
      return new Database(pool);
    } catch (RuntimeException e) {
      pool.close();
      throw e;
    }
  }

  /** Statements that stand each for itself. */
  public <T> T read(Work<T> work) {
    try (Connection connection = pool.getConnection()) {
      return work.run(connection);
    } catch (SQLException e) {
      throw failure(e);
    }
  }

  /** All or nothing, at READ COMMITTED. */
  public <T> T transact(Work<T> work) {
    try (Connection connection = pool.getConnection()) {
      connection.setAutoCommit(false);
      try {
        T result = work.run(connection);
        connection.commit();
        return result;
      } catch (SQLException | RuntimeException e) {
        rollback(connection, e);
        throw e;
      }
    } catch (SQLException e) {
      throw failure(e);
    }
  }

  /** For readiness: empty, or why it is not there. */
  public Optional<String> problem() {
    try {
      boolean valid = read(connection -> connection.isValid(1));
      return valid ? Optional.empty() : Optional.of("the connection is not valid");
    } catch (RuntimeException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  @Override
  public void close() {
    pool.close();
  }

  private static void rollback(Connection connection, Exception cause) {
    try {
      connection.rollback();
    } catch (SQLException e) {
      cause.addSuppressed(e);
    }
  }

  private static RuntimeException failure(SQLException e) {
    if (away(e)) {
      log.atWarn()
          .setMessage("database_unavailable")
          .addKeyValue("state", e.getSQLState())
          .addKeyValue("cause", e.getMessage())
          .log();
      return new Refusal(
          ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE, "the scheduler's database is away");
    }
    return new IllegalStateException("the database refused a statement: " + e.getMessage(), e);
  }

  /**
   * By SQLSTATE class (PostgreSQL documentation, appendix A): 08 connection, 53 resources, 55P03
   * lock not available, 57 operator intervention (shutdown, cancelled by timeout), 25P03 idle in
   * transaction, 25006 read-only after a failover.
   */
  private static boolean away(SQLException e) {
    String state = e.getSQLState();
    return e instanceof SQLTransientConnectionException
        || state == null
        || state.startsWith("08")
        || state.startsWith("53")
        || state.startsWith("57")
        || state.equals("55P03")
        || state.equals("25P03")
        || state.equals("25006");
  }
}
