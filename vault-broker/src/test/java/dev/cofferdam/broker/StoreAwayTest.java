package dev.cofferdam.broker;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.put;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.testkit.ClosedPort;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListSecretsRequest;
import io.grpc.Status;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A broker whose Vault does not answer. */
class StoreAwayTest extends BrokerTest {
  @TempDir static Path directory;
  private @Nullable ClosedPort vault;

  @AfterAll
  void freePort() throws IOException {
    if (vault != null) {
      vault.close();
    }
  }

  @Override
  Map<String, String> extraSettings() {
    try {
      vault = ClosedPort.at("127.0.0.1");
      Path token = Files.writeString(directory.resolve("token"), "x");
      return Map.of(
          "store",
          "vault",
          "vault.address",
          "http://127.0.0.1:" + vault.port(),
          "vault.token-file",
          token.toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void aSecretIsNotTakenAndItsOwnerIsToldWhy() {
    var secrets = broker.secrets(broker.secretsToken("away"));
    // More often than it takes to open the circuit: while it is open the reason is the same.
    for (int i = 0; i < 7; i++) {
      assertRefused(
          () -> secrets.putSecret(put("api-key", VALUE).build()),
          Status.Code.UNAVAILABLE,
          ErrorReason.ERROR_REASON_STORE_UNAVAILABLE);
    }
    assertThat(secrets.listSecrets(ListSecretsRequest.getDefaultInstance()).getSecretsList())
        .isEmpty();
  }
}
