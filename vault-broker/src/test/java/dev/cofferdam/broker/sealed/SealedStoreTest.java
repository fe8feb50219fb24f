package dev.cofferdam.broker.sealed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.crypto.tink.Aead;
import dev.cofferdam.broker.secret.SecretKey;
import dev.cofferdam.broker.secret.SecretStore;
import dev.cofferdam.broker.secret.SecretStoreContract;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.testkit.TestPostgres;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class SealedStoreTest extends SecretStoreContract {
  private TestPostgres postgres;
  private Database database;
  private Sealer sealer;
  private SealedStore store;

  @BeforeAll
  void start() {
    postgres = TestPostgres.start();
  }

  @AfterAll
  void stop() {
    postgres.close();
  }

  @BeforeEach
  void open(@TempDir Path directory) {
    TestPostgres.Database fresh = postgres.createDatabase();
    database =
        Database.open(fresh.url(), fresh.user(), fresh.password(), 3, new SimpleMeterRegistry());
    sealer = sealer(directory.resolve("keyset"));
    store = new SealedStore(database, sealer);
  }

  @AfterEach
  void close() {
    database.close();
  }

  private static Sealer sealer(Path file) {
    return new Sealer(KeysetFile.open(file), new SecureRandom());
  }

  @Override
  protected SecretStore store() {
    return store;
  }

  @Test
  void aCiphertextOpensInItsOwnPlaceAlone() {
    SecretKey mine = key("acme", "api-key", 1);
    SecretKey theirs = key("umbrella", "api-key", 1);
    try (SecretValue value = value("sk-0123456789abcdef")) {
      store.put(mine, value);
      store.put(theirs, value);
    }
    var _ =
        database.transact(tx ->
            tx.update(
                "update sealed_value set ciphertext ="
                    + " (select ciphertext from sealed_value where value = ?) where value = ?",
                mine.value(),
                theirs.value()));
    assertThatThrownBy(() -> store.get(theirs)).isInstanceOf(StoreUnavailableException.class);
    store.get(mine).close();
  }

  @Test
  void aChangedCiphertextDoesNotOpen() {
    SecretKey key = key("acme", "api-key", 1);
    try (SecretValue value = value("sk-0123456789abcdef")) {
      store.put(key, value);
    }
    var _ =
        database.transact(tx ->
            tx.update(
                "update sealed_value set ciphertext ="
                    + " set_byte(ciphertext, 20, 255 - get_byte(ciphertext, 20))"));
    assertThatThrownBy(() -> store.get(key))
        .isInstanceOf(StoreUnavailableException.class)
        .hasNoCause();
  }

  @Test
  void theDatabaseHoldsNoTraceOfTheValue() {
    SecretKey key = key("acme", "api-key", 1);
    try (SecretValue value = value("sk-0123456789abcdef")) {
      store.put(key, value);
    }
    String row =
        database.transact(tx ->
            tx.only("select encode(ciphertext, 'escape') from sealed_value", r -> r.getString(1)));
    assertThat(row).doesNotContain("sk-0123456789abcdef").doesNotContain("0123456789");
  }

  @Test
  void tinkNeverSeesTheValueInOnePiece() throws GeneralSecurityException {
    var seen = new StringBuilder();
    Aead spy =
        new Aead() {
          @Override
          public byte[] encrypt(byte[] plaintext, byte[] associatedData) {
            seen.append(new String(plaintext, StandardCharsets.ISO_8859_1));
            return plaintext.clone();
          }

          @Override
          public byte[] decrypt(byte[] ciphertext, byte[] associatedData) {
            return ciphertext.clone();
          }
        };
    Sealer watched = new Sealer(spy, new SecureRandom());
    try (SecretValue value = value("sk-0123456789abcdef");
        SecretValue back = watched.open(watched.seal(value, "x"), "x")) {
      assertThat(back.sameAs(value)).isTrue();
    }
    assertThat(seen).hasSize(2 * 19);
    assertThat(seen.toString()).doesNotContain("sk-0");
  }

  @Test
  void contextsAreNotRunTogether() {
    byte[] sealed = sealer.seal(new byte[] {1}, "ab", "c");
    assertThatThrownBy(() -> sealer.openBytes(sealed, "a", "bc"))
        .isInstanceOf(GeneralSecurityException.class);
  }

  @Test
  void theKeysetIsMadeOnceAndForItsOwnerAlone(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("sealed.keyset");
    byte[] sealed = sealer(file).seal(new byte[] {1, 2, 3}, "x");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
        .isEqualTo("rw-------");
    assertThat(sealer(file).openBytes(sealed, "x")).containsExactly(1, 2, 3);
    try (var files = Files.list(directory)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void aKeysetThatOthersCanReadIsRefused(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("sealed.keyset");
    var _ = sealer(file);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
    assertThatThrownBy(() -> KeysetFile.open(file)).hasMessageContaining("rw-r-----");
  }

  @Test
  void aFileThatIsNoKeysetIsRefusedWithoutQuotingIt(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("sealed.keyset");
    Files.writeString(file, "something private");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    assertThatThrownBy(() -> KeysetFile.open(file))
        .hasMessageContaining(file.toString())
        .hasNoCause();
  }

  @Test
  void anotherKeysetThanTheDatabasesIsNoticedAtTheStart(@TempDir Path directory) {
    sealer.checkAgainst(database);
    sealer.checkAgainst(database);
    Sealer other = sealer(directory.resolve("other"));
    assertThatThrownBy(() -> other.checkAgainst(database))
        .hasMessageContaining("sealed.keyset-file");
  }
}
