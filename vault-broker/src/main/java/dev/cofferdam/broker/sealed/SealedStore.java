package dev.cofferdam.broker.sealed;

import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretStore;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.kit.error.Refusal;
import java.security.GeneralSecurityException;
import java.util.Optional;

/** Values as ciphertext rows, each bound to its tenant, name, secret and version. */
public final class SealedStore implements SecretStore {
  private final Database database;
  private final Sealer sealer;

  public SealedStore(Database database, Sealer sealer) {
    this.database = database;
    this.sealer = sealer;
  }

  @Override
  public void put(SecretKey key, SecretValue value) {
    byte[] ciphertext = sealer.seal(value, context(key));
    try {
      var _ =
          database.transact(tx ->
              tx.update(
                  "insert into sealed_value (value, tenant, name, version, ciphertext)"
                      + " values (?, ?, ?, ?, ?) on conflict (value)"
                      + " do update set ciphertext = excluded.ciphertext",
                  key.value(),
                  key.tenant(),
                  key.name(),
                  key.version(),
                  ciphertext));
    } catch (Refusal e) {
      throw new StoreUnavailableException("the sealed store's database did not take a value");
    }
  }

  @Override
  public SecretValue get(SecretKey key) {
    Optional<byte[]> ciphertext;
    try {
      ciphertext =
          database.transact(tx ->
              tx.first(
                  "select ciphertext from sealed_value where value = ?",
                  row -> row.getBytes(1),
                  key.value()));
    } catch (Refusal e) {
      throw new StoreUnavailableException("the sealed store's database gave no answer");
    }
    try {
      return sealer.open(
          ciphertext.orElseThrow(
              () -> new StoreUnavailableException("the sealed store has no value for " + key)),
          context(key));
    } catch (GeneralSecurityException e) {
      throw new StoreUnavailableException("the sealed value of " + key + " does not open");
    }
  }

  @Override
  public void delete(SecretKey key) {
    try {
      var _ =
          database.transact(
              tx -> tx.update("delete from sealed_value where value = ?", key.value()));
    } catch (Refusal e) {
      throw new StoreUnavailableException("the sealed store's database did not delete " + key);
    }
  }

  private static String[] context(SecretKey key) {
    return new String[] {
      "secret", key.tenant(), key.name(), key.value().toString(), Long.toString(key.version())
    };
  }
}
