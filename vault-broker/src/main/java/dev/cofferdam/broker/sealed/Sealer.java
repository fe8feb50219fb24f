package dev.cofferdam.broker.sealed;

import com.google.crypto.tink.Aead;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.sql.Database;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;

/**
 * Authenticated encryption bound to what the plaintext is for. Safe for use by several threads.
 *
 * <p>Tink takes and gives arrays, and the collector may copy any array before it is wiped. A value
 * therefore never becomes one: it goes in as two shares, a random mask and the value XOR that mask,
 * and is put together again outside the heap. A copy that Tink or the collector leaves behind shows
 * no value to a search; it takes both shares, from one array, to rebuild it. This is tidiness, not
 * a second lock: the key in this process opens everything that it sealed.
 */
public final class Sealer {
  private static final String CHECK = "cofferdam sealing check";

  private final Aead aead;
  private final SecureRandom random;

  public Sealer(Aead aead, SecureRandom random) {
    this.aead = aead;
    this.random = random;
  }

  /**
   * @param context what it is for, in order; needed again to open it
   */
  public byte[] seal(SecretValue value, String... context) {
    byte[] shares = new byte[2 * value.length()];
    try {
      random.nextBytes(shares);
      for (int i = 0; i < value.length(); i++) {
        shares[value.length() + i] = (byte) (shares[i] ^ value.at(i));
      }
      return seal(shares, context);
    } finally {
      Arrays.fill(shares, (byte) 0);
    }
  }

  /**
   * What {@link #seal(SecretValue, String...)} sealed, which the caller closes.
   *
   * @throws GeneralSecurityException for another key or context, or a changed ciphertext
   */
  public SecretValue open(byte[] ciphertext, String... context) throws GeneralSecurityException {
    byte[] shares = openBytes(ciphertext, context);
    try {
      int length = shares.length / 2;
      SecretValue value = SecretValue.ofLength(length);
      MemorySegment bytes = value.segment();
      for (int i = 0; i < length; i++) {
        bytes.set(ValueLayout.JAVA_BYTE, i, (byte) (shares[i] ^ shares[length + i]));
      }
      return value;
    } finally {
      Arrays.fill(shares, (byte) 0);
    }
  }

  /** For what is an array anyway, such as a private key; the caller wipes it. */
  public byte[] seal(byte[] plaintext, String... context) {
    try {
      return aead.encrypt(plaintext, associatedData(context));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("cannot seal", e);
    }
  }

  /** What {@link #seal(byte[], String...)} sealed; the caller wipes it. */
  public byte[] openBytes(byte[] ciphertext, String... context) throws GeneralSecurityException {
    return aead.decrypt(ciphertext, associatedData(context));
  }

  /**
   * Fails at the start where the keyset is not the one that the database was written with: a lost
   * file would otherwise be replaced by a fresh key, and show only when a secret is used.
   */
  public void checkAgainst(Database database) {
    byte[] mine = seal(CHECK.getBytes(StandardCharsets.UTF_8), CHECK);
    byte[] stored =
        database.transact(tx -> {
          tx.update(
              "insert into sealing_check (one, ciphertext) values (true, ?) on conflict do nothing",
              mine);
          return tx.only("select ciphertext from sealing_check", row -> row.getBytes(1));
        });
    try {
      var _ = openBytes(stored, CHECK);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(
          "the database was written under another keyset than that of sealed.keyset-file;"
              + " put that file back");
    }
  }

  /** Each part with its length, so that no two contexts are the same bytes. */
  private static byte[] associatedData(String... context) {
    StringBuilder text = new StringBuilder();
    for (String part : context) {
      text.append(part.length()).append(':').append(part);
    }
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }
}
