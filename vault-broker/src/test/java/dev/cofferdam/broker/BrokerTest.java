package dev.cofferdam.broker;

import dev.cofferdam.testkit.TestPostgres;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Tests that share one broker; each uses secrets and sandboxes of its own. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
abstract class BrokerTest {
  private TestPostgres postgres;
  TestBroker broker;

  @BeforeAll
  void start(@TempDir Path directory) throws IOException {
    postgres = TestPostgres.start();
    broker = new TestBroker(directory, postgres, extraSettings());
  }

  @AfterAll
  void stop() {
    broker.close();
    postgres.close();
  }

  Map<String, String> extraSettings() {
    return Map.of();
  }
}
