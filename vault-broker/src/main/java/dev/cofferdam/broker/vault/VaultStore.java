package dev.cofferdam.broker.vault;

import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretStore;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.v1.ErrorReason;
import io.github.jopenlibs.vault.SslConfig;
import io.github.jopenlibs.vault.Vault;
import io.github.jopenlibs.vault.VaultConfig;
import io.github.jopenlibs.vault.VaultException;
import io.github.jopenlibs.vault.response.LogicalResponse;
import io.grpc.StatusRuntimeException;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;

/**
 * One KV entry for each version of a secret: {@code
 * <mount>/cofferdam/<tenant>/<name>/<version>-<value>}, with the value as hexadecimal digits in the
 * field {@code value_hex}. Which of them is in force stands in the broker's database, so that an
 * operator who writes there by hand changes nothing that is in force.
 *
 * <p>The driver takes and gives strings, and what HTTP and JSON make of them stays on the heap
 * until it is collected: the one place where a value leaves off-heap memory, counted by a test.
 *
 * <p>Each call ends within {@value #OPEN_SECONDS} s to connect and {@value #READ_SECONDS} s to
 * answer; while Vault is away a circuit breaker refuses at once.
 */
public final class VaultStore implements SecretStore {
  private static final int OPEN_SECONDS = 2;
  private static final int READ_SECONDS = 3;
  private static final String FIELD = "value_hex";
  private static final int FORBIDDEN = 403;
  private static final int NOT_FOUND = 404;

  private final VaultSettings settings;
  private final Guard guard;
  private volatile Vault vault;

  public VaultStore(VaultSettings settings, MeterRegistry meters) {
    this.settings = settings;
    this.guard = new Guard("vault", ErrorReason.ERROR_REASON_STORE_UNAVAILABLE, meters);
    this.vault = connect(settings);
  }

  @Override
  public void put(SecretKey key, SecretValue value) {
    LogicalResponse response =
        ask("take a value", v -> v.logical().write(path(key), Map.of(FIELD, Hex.encode(value))));
    int status = response.getRestResponse().getStatus();
    if (status != 200 && status != 204) {
      throw new StoreUnavailableException("Vault took no value: HTTP status " + status);
    }
  }

  @Override
  public SecretValue get(SecretKey key) {
    LogicalResponse response = ask("give a value", v -> v.logical().read(path(key)));
    int status = response.getRestResponse().getStatus();
    String hex = response.getData().get(FIELD);
    if (status != 200 || hex == null) {
      throw new StoreUnavailableException(
          "Vault has no value for %s: HTTP status %d".formatted(key, status));
    }
    return Hex.decode(hex);
  }

  @Override
  public void delete(SecretKey key) {
    // Of KV version 2, the driver deletes the metadata, and with it all versions for good.
    int status = ask("delete", v -> v.logical().delete(path(key))).getRestResponse().getStatus();
    if (status != 204 && status != 200 && status != NOT_FOUND) {
      throw new StoreUnavailableException("Vault did not delete: HTTP status " + status);
    }
  }

  @FunctionalInterface
  private interface Ask {
    LogicalResponse of(Vault vault) throws VaultException;
  }

  /** Nothing of the driver's exceptions goes on: their text quotes Vault's whole answer. */
  private LogicalResponse ask(String what, Ask ask) {
    try {
      return guard.call(() -> withToken(what, ask));
    } catch (StatusRuntimeException e) {
      throw new StoreUnavailableException("Vault did not answer lately; not asked again yet");
    }
  }

  private LogicalResponse withToken(String what, Ask ask) {
    try {
      LogicalResponse response = ask.of(vault);
      if (response.getRestResponse().getStatus() != FORBIDDEN) {
        return response;
      }
    } catch (VaultException e) {
      if (e.getHttpStatusCode() != FORBIDDEN) {
        return absentOrAway(what, e);
      }
    }
    Vault renewed = connect(settings);
    try {
      LogicalResponse response = ask.of(renewed);
      vault = renewed;
      return response;
    } catch (VaultException e) {
      return absentOrAway(what, e);
    }
  }

  private static LogicalResponse absentOrAway(String what, VaultException e) {
    throw new StoreUnavailableException(
        "Vault did not %s: HTTP status %d".formatted(what, e.getHttpStatusCode()));
  }

  private static Vault connect(VaultSettings settings) {
    try {
      SslConfig tls = new SslConfig();
      if (settings.authority().isPresent()) {
        tls = tls.pemFile(settings.authority().get().toFile());
      }
      return Vault.create(
          new VaultConfig()
              // Nothing comes from VAULT_* variables: the configuration says all.
              .environmentLoader(new NoEnvironment())
              .address(settings.address())
              .token(Files.readString(settings.tokenFile()).strip())
              .engineVersion(2)
              .openTimeout(OPEN_SECONDS)
              .readTimeout(READ_SECONDS)
              .sslConfig(tls.build())
              .build());
    } catch (VaultException e) {
      throw new IllegalStateException(
          "cannot set up the client of Vault at " + settings.address(), e);
    } catch (IOException e) {
      throw new StoreUnavailableException(
          "cannot read Vault's token in " + settings.tokenFile() + ": " + e);
    }
  }

  private String path(SecretKey key) {
    return "%s/cofferdam/%s/%s/%d-%s"
        .formatted(settings.mount(), key.tenant(), key.name(), key.version(), key.value());
  }
}
