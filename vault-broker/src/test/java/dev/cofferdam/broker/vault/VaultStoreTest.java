package dev.cofferdam.broker.vault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretStore;
import dev.cofferdam.broker.secret.SecretStoreContract;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import dev.cofferdam.testkit.ClosedPort;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Against a real OpenBao server in development mode. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class VaultStoreTest extends SecretStoreContract {
  private OpenBao bao;
  private VaultStore store;

  @BeforeAll
  void start(@TempDir Path directory) throws Exception {
    bao = OpenBao.startOrSkip(directory);
    store = new VaultStore(settings(bao.address(), bao.tokenFile()), new SimpleMeterRegistry());
  }

  @AfterAll
  void stop() {
    if (bao != null) {
      bao.close();
    }
  }

  private static VaultSettings settings(String address, Path tokenFile) {
    return new VaultSettings(address, tokenFile, "secret", Optional.empty());
  }

  @Override
  protected SecretStore store() {
    return store;
  }

  @Test
  void aRefusedTokenIsReadAgainFromItsFile(@TempDir Path directory) throws IOException {
    Path token = directory.resolve("token");
    Files.writeString(token, "s.expired");
    VaultStore renewing = new VaultStore(settings(bao.address(), token), new SimpleMeterRegistry());
    SecretKey key = key("acme", "api-key", 1);
    try (SecretValue value = value("sk-0123456789abcdef")) {
      assertThatThrownBy(() -> renewing.put(key, value))
          .isInstanceOf(StoreUnavailableException.class)
          .hasNoCause();
      Files.copy(bao.tokenFile(), token, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
      renewing.put(key, value);
      try (SecretValue got = renewing.get(key)) {
        assertThat(got.sameAs(value)).isTrue();
      }
    }
  }

  @Test
  void aServerThatNeverAnswersIsGivenUp(@TempDir Path directory) throws IOException {
    Path token = directory.resolve("token");
    Files.writeString(token, "x");
    // Accepts connections by its backlog and says nothing.
    try (ServerSocket silent = new ServerSocket(0)) {
      VaultStore waiting =
          new VaultStore(
              settings("http://127.0.0.1:" + silent.getLocalPort(), token),
              new SimpleMeterRegistry());
      assertThatThrownBy(() -> waiting.get(key("acme", "api-key", 1)))
          .isInstanceOf(StoreUnavailableException.class)
          .hasNoCause();
    }
  }

  @Test
  void whileItIsAwayTheCircuitOpensAndNothingIsAsked(@TempDir Path directory) throws IOException {
    Path token = directory.resolve("token");
    Files.writeString(token, "x");
    try (ClosedPort nobody = ClosedPort.at("127.0.0.1")) {
      VaultStore away =
          new VaultStore(
              settings("http://127.0.0.1:" + nobody.port(), token), new SimpleMeterRegistry());
      SecretKey key = key("acme", "api-key", 1);
      for (int i = 0; i < 5; i++) {
        assertThatThrownBy(() -> away.get(key)).hasMessageContaining("did not give a value");
      }
      assertThatThrownBy(() -> away.get(key)).hasMessageContaining("not asked again yet");
    }
  }

  @Test
  void plainTextGoesToNobodyButThisMachine() {
    assertThatThrownBy(() -> settings("http://vault.example.com:8200", bao.tokenFile()))
        .hasMessageContaining("expected https://");
  }
}
