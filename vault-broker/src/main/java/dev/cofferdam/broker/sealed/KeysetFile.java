package dev.cofferdam.broker.sealed;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.InsecureSecretKeyAccess;
import com.google.crypto.tink.KeysetHandle;
import com.google.crypto.tink.RegistryConfiguration;
import com.google.crypto.tink.TinkJsonProtoKeysetFormat;
import com.google.crypto.tink.aead.AeadConfig;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.util.EnumSet;
import java.util.Set;

/**
 * The key that everything sealed is under: a Tink keyset in a file that its owner alone can read.
 */
public final class KeysetFile {
  private static final Set<PosixFilePermission> OWNER_ONLY =
      EnumSet.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE);

  private KeysetFile() {}

  /**
   * Opens the file; makes it, with a fresh AES-256-GCM key and mode 0600, where there is none.
   *
   * @throws IllegalStateException naming the file, when others could read it or it holds no keyset
   */
  public static Aead open(Path file) {
    try {
      AeadConfig.register();
      if (Files.notExists(file)) {
        create(file);
      }
      Set<PosixFilePermission> mode = Files.getPosixFilePermissions(file);
      if (!OWNER_ONLY.containsAll(mode)) {
        throw new IllegalStateException(
            "the keyset file %s has mode %s, expected 0600"
                .formatted(file, PosixFilePermissions.toString(mode)));
      }
      return TinkJsonProtoKeysetFormat.parseKeyset(
              Files.readString(file), InsecureSecretKeyAccess.get())
          .getPrimitive(RegistryConfiguration.get(), Aead.class);
    } catch (IOException e) {
      throw new IllegalStateException("cannot use the keyset file " + file + ": " + e, e);
    } catch (GeneralSecurityException e) {
      // Without the cause: it may quote what it could not parse.
      throw new IllegalStateException("the keyset file " + file + " holds no Tink keyset");
    }
  }

  private static void create(Path file) throws IOException, GeneralSecurityException {
    String keyset =
        TinkJsonProtoKeysetFormat.serializeKeyset(
            KeysetHandle.generateNew(PredefinedAeadParameters.AES256_GCM),
            InsecureSecretKeyAccess.get());
    // Whole or not at all, on the disk before anything is sealed under it.
    Path part = file.resolveSibling(file.getFileName() + ".part");
    Files.deleteIfExists(part);
    try (FileChannel channel =
        FileChannel.open(
            part,
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
            PosixFilePermissions.asFileAttribute(OWNER_ONLY))) {
      ByteBuffer bytes = ByteBuffer.wrap(keyset.getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.force(true);
    }
    // A link never replaces: of two brokers that start at once on one file, both use the first's.
    try {
      Files.createLink(file, part);
    } catch (java.nio.file.FileAlreadyExistsException e) {
      // The other one's key is the key.
    } finally {
      Files.deleteIfExists(part);
    }
    try (FileChannel directory = FileChannel.open(file.toAbsolutePath().getParent())) {
      directory.force(true);
    }
  }
}
