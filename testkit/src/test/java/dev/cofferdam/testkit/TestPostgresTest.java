package dev.cofferdam.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class TestPostgresTest {
  private static TestPostgres postgres;

  @BeforeAll
  static void start() {
    postgres = TestPostgres.start();
  }

  @AfterAll
  static void stop() {
    postgres.close();
  }

  @Test
  void aDatabaseKeepsWhatIsWritten() throws SQLException {
    TestPostgres.Database database = postgres.createDatabase();
    try (Connection connection = database.connect();
        Statement statement = connection.createStatement()) {
      statement.execute("create table t (n int)");
      statement.execute("insert into t values (7)");
    }
    try (Connection connection = database.connect();
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("select n from t")) {
      assertThat(rows.next()).isTrue();
      assertThat(rows.getInt(1)).isEqualTo(7);
    }
  }

  @Test
  void aRoleCannotConnectToAnothersDatabase() {
    TestPostgres.Database mine = postgres.createDatabase();
    TestPostgres.Database yours = postgres.createDatabase();
    assertThatThrownBy(() -> DriverManager.getConnection(yours.url(), mine.user(), mine.password()))
        .isInstanceOf(SQLException.class)
        .hasMessageContaining("permission denied");
  }

  @Test
  void theServerAsksForAPassword() {
    TestPostgres.Database database = postgres.createDatabase();
    assertThatThrownBy(() -> DriverManager.getConnection(database.url(), database.user(), "wrong"))
        .isInstanceOf(SQLException.class)
        .hasMessageContaining("password authentication failed");
  }

  @Test
  void afterCloseNobodyListens() throws SQLException {
    TestPostgres other = TestPostgres.start();
    TestPostgres.Database database = other.createDatabase();
    database.connect().close();
    other.close();
    assertThatThrownBy(database::connect)
        .isInstanceOf(SQLException.class)
        .hasMessageContaining("refused");
  }
}
