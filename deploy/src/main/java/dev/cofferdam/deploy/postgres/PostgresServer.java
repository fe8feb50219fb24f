package dev.cofferdam.deploy.postgres;

import dev.cofferdam.deploy.account.Account;
import dev.cofferdam.deploy.account.Commands;
import dev.cofferdam.deploy.account.OwnedFiles;
import dev.cofferdam.deploy.supervise.ProcessSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A real PostgreSQL on the loopback address: its own user, scram, fsync on. Each service has a role
 * and a database of its own and cannot connect to another's.
 *
 * @param home {@code <state>/postgres}
 * @param passwords a directory of root's that keeps one file per role
 */
public record PostgresServer(
    PostgresBinaries binaries, Path home, Path passwords, Account account, int port) {
  private static final String ADMINISTRATOR = "cofferdam_admin";

  /** The version of the data directory under {@code home}, if there is one. */
  public static Optional<Integer> existingVersion(Path home) throws IOException {
    Path version = home.resolve("data/PG_VERSION");
    return Files.exists(version)
        ? Optional.of(Integer.parseInt(Files.readString(version).strip()))
        : Optional.empty();
  }

  /** Makes the data directory where there is none and writes the server's settings. */
  public void prepare(List<String> roles, SecureRandom random) throws IOException {
    OwnedFiles.directory(home, "rwxr-x---", 0, account.gid());
    OwnedFiles.directory(passwords, "rwx------");
    Path data = home.resolve("data");
    if (!Files.exists(data.resolve("PG_VERSION"))) {
      OwnedFiles.directory(data, "rwx------", account.uid(), account.gid());
      Path password = home.resolve("password");
      OwnedFiles.write(password, password(ADMINISTRATOR, random), "rw-r-----", account.gid());
      try {
        Commands.run(
            account.asThisUser(
                List.of(
                    "env",
                    "-C",
                    home.toString(),
                    binaries.directory().resolve("initdb").toString(),
                    "--pgdata=" + data,
                    "--username=" + ADMINISTRATOR,
                    "--pwfile=" + password,
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--data-checksums",
                    "--no-instructions")));
      } finally {
        Files.delete(password);
      }
    }
    OwnedFiles.write(
        home.resolve("postgresql.conf"), PostgresFiles.settings(port), "rw-r-----", account.gid());
    OwnedFiles.write(
        home.resolve("pg_hba.conf"),
        PostgresFiles.access(ADMINISTRATOR, roles),
        "rw-r-----",
        account.gid());
  }

  public ProcessSpec process(Path log, Path pidFile) {
    return new ProcessSpec(
        "postgres",
        account.asThisUser(
            List.of(
                binaries.directory().resolve("postgres").toString(),
                "-D",
                home.resolve("data").toString(),
                "-c",
                "config_file=" + home.resolve("postgresql.conf"),
                "-c",
                "hba_file=" + home.resolve("pg_hba.conf"))),
        Map.of("PATH", "/usr/bin:/bin", "LC_ALL", "C"),
        home,
        log,
        pidFile,
        // "Fast": open sessions are ended rather than waited for.
        "INT",
        Duration.ofSeconds(20));
  }

  /**
   * Waits for the server, then makes each role with the database of its name.
   *
   * @throws IOException when it does not answer within {@code limit}
   */
  public void makeDatabases(
      List<String> roles,
      SecureRandom random,
      InstantSource clock,
      CountDownLatch cancelled,
      Duration limit)
      throws IOException, InterruptedException {
    try (Connection connection = connect(random, clock, cancelled, limit);
        Statement statement = connection.createStatement()) {
      statement.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC");
      for (String role : roles) {
        if (!role.matches("[a-z_]{1,40}")) {
          throw new IllegalArgumentException("'%s' is no role's name".formatted(role));
        }
        // Letters, digits and underscores only: names and passwords need no quoting.
        String password = password(role, random);
        if (!exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = ?", role)) {
          statement.execute("CREATE ROLE " + role + " LOGIN");
        }
        statement.execute("ALTER ROLE " + role + " PASSWORD '" + password + "'");
        if (!exists(connection, "SELECT 1 FROM pg_database WHERE datname = ?", role)) {
          statement.execute("CREATE DATABASE " + role + " OWNER " + role);
        }
        statement.execute("REVOKE ALL ON DATABASE " + role + " FROM PUBLIC");
      }
    } catch (SQLException e) {
      throw new IOException("cannot set up the databases: " + e.getMessage(), e);
    }
  }

  /** Where a service finds its database. */
  public String url(String role) {
    return "jdbc:postgresql://127.0.0.1:%d/%s".formatted(port, role);
  }

  /** The role's password, made at the first call and kept. */
  public String password(String role, SecureRandom random) throws IOException {
    Path file = passwords.resolve(role);
    if (!Files.exists(file)) {
      byte[] bytes = new byte[24];
      random.nextBytes(bytes);
      OwnedFiles.write(file, HexFormat.of().formatHex(bytes), "rw-------");
    }
    return Files.readString(file);
  }

  private Connection connect(
      SecureRandom random, InstantSource clock, CountDownLatch cancelled, Duration limit)
      throws IOException, InterruptedException {
    Instant end = clock.instant().plus(limit);
    while (true) {
      try {
        return DriverManager.getConnection(
            url("postgres"), ADMINISTRATOR, password(ADMINISTRATOR, random));
      } catch (SQLException e) {
        if (!clock.instant().isBefore(end)) {
          throw new IOException("PostgreSQL does not answer: " + e.getMessage(), e);
        }
      }
      if (cancelled.await(100, TimeUnit.MILLISECONDS)) {
        throw new IOException("stopped while waiting for PostgreSQL");
      }
    }
  }

  private static boolean exists(Connection connection, String query, String name)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(query)) {
      statement.setString(1, name);
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next();
      }
    }
  }
}
