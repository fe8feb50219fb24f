package dev.cofferdam.deploy.account;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/**
 * Directories and files with an owner and a mode from their first moment on.
 *
 * <p>What root writes for a service lies in a directory that only root can write to, readable by
 * the service's group: a service that was taken over cannot swap a link under root's hands.
 */
public final class OwnedFiles {
  private OwnedFiles() {}

  /**
   * Makes the directory where it is missing, and sets its mode in any case. Only the one above it,
   * which has to be root's, may be a link.
   */
  public static Path directory(Path directory, String mode) throws IOException {
    Set<PosixFilePermission> permissions = PosixFilePermissions.fromString(mode);
    if (Files.isSymbolicLink(directory)) {
      throw new IOException(directory + " is a symbolic link, expected a directory");
    }
    if (!Files.isDirectory(directory)) {
      Files.createDirectories(directory, PosixFilePermissions.asFileAttribute(permissions));
    }
    // The umask may have taken bits away.
    Files.setPosixFilePermissions(directory, permissions);
    return directory;
  }

  /** As {@link #directory(Path, String)}, owned by {@code uid} and {@code gid}. */
  public static Path directory(Path directory, String mode, int uid, int gid) throws IOException {
    directory(directory, mode);
    own(directory, uid, gid);
    return directory;
  }

  /** Replaces the file whole: a reader sees the old text or the new. */
  public static void write(Path file, String text, String mode) throws IOException {
    write(file, text, mode, -1);
  }

  /** As {@link #write(Path, String, String)}, for the group {@code gid} too unless it is -1. */
  public static void write(Path file, String text, String mode, int gid) throws IOException {
    Path fresh = file.resolveSibling(file.getFileName() + ".new");
    Files.deleteIfExists(fresh);
    try (FileChannel channel =
        FileChannel.open(
            fresh,
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
      ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.force(true);
    }
    if (gid >= 0) {
      Files.setAttribute(fresh, "unix:gid", gid, LinkOption.NOFOLLOW_LINKS);
    }
    Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString(mode));
    Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  private static void own(Path path, int uid, int gid) throws IOException {
    Files.setAttribute(path, "unix:uid", uid, LinkOption.NOFOLLOW_LINKS);
    Files.setAttribute(path, "unix:gid", gid, LinkOption.NOFOLLOW_LINKS);
  }
}
