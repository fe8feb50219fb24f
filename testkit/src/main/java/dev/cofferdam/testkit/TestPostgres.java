package dev.cofferdam.testkit;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A real PostgreSQL server on loopback for as long as it is open: Debian's where that is installed,
 * else the one that a Maven artifact carries. It takes no care of its data ({@code fsync=off}).
 *
 * <p>Starting one takes a second or two: share it within a test class and give each test a database
 * of its own. Safe for use by several threads.
 */
public final class TestPostgres implements AutoCloseable {
  /**
   * One database and the role that owns it, which can connect to no other.
   *
   * @param url for JDBC, without credentials
   */
  public record Database(String url, String user, String password) {
    public Connection connect() throws SQLException {
      return DriverManager.getConnection(url, user, password);
    }
  }

  private static final String LOCAL = "jdbc:postgresql://127.0.0.1:";

  private final int port;
  private final String superuser;
  private final String password;
  private final AutoCloseable server;
  private final AtomicInteger databases = new AtomicInteger();

  private TestPostgres(int port, String superuser, String password, AutoCloseable server) {
    this.port = port;
    this.superuser = superuser;
    this.password = password;
    this.server = server;
  }

  public static TestPostgres start() {
    Optional<Path> installed = DebianPostgres.installed();
    try {
      if (installed.isPresent()) {
        DebianPostgres server = DebianPostgres.start(installed.get());
        return new TestPostgres(server.port(), "postgres", server.password(), server);
      }
      EmbeddedPostgres server = EmbeddedPostgres.builder().start();
      return new TestPostgres(server.getPort(), "postgres", "postgres", server);
    } catch (IOException e) {
      throw new UncheckedIOException("PostgreSQL did not start", e);
    }
  }

  public int port() {
    return port;
  }

  /** A new, empty database. */
  public Database createDatabase() {
    String name = "test" + databases.incrementAndGet();
    // A fixed password is no secret worth keeping: the server lives on loopback for one test.
    Database database = new Database(LOCAL + port + "/" + name, name, name + "-password");
    try (Connection connection =
            DriverManager.getConnection(LOCAL + port + "/postgres", superuser, password);
        Statement statement = connection.createStatement()) {
      statement.execute("create role %s login password '%s'".formatted(name, database.password()));
      statement.execute("create database %s owner %s".formatted(name, name));
      statement.execute("revoke all on database %s from public".formatted(name));
    } catch (SQLException e) {
      throw new IllegalStateException("cannot create the database " + name, e);
    }
    return database;
  }

  /** Stops the server at once; open connections break. */
  @Override
  public void close() {
    try {
      server.close();
    } catch (Exception e) {
      throw new IllegalStateException("PostgreSQL did not stop", e);
    }
  }
}
