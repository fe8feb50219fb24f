package dev.cofferdam.node.disk;

import dev.cofferdam.node.helper.NodeHelper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * What a sandbox has on this node's disk: its directory, which its VMM may write to, and its
 * guest's token, which lies where only this process reads.
 */
public final class SandboxFiles {
  private final Path root;
  private final Path tokens;
  private final Path profiles;
  private final NodeHelper helper;

  /**
   * @param root of the sandboxes' directories; owned by this process
   * @param tokens directory of the tokens, made here
   */
  public SandboxFiles(Path root, Path tokens, NodeHelper helper) {
    this.helper = helper;
    this.root = root;
    this.tokens = tokens;
    this.profiles = tokens.resolveSibling("profiles");
    try {
      Files.createDirectories(root);
      Files.createDirectories(tokens);
      Files.setPosixFilePermissions(tokens, PosixFilePermissions.fromString("rwx------"));
      Files.createDirectories(profiles);
      Files.setPosixFilePermissions(profiles, PosixFilePermissions.fromString("rwx------"));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot use " + root + " and " + tokens, e);
    }
  }

  public Path directory(String sandbox) {
    return root.resolve(sandbox);
  }

  /** A new, empty directory; what lay there before is gone. */
  public Path create(String sandbox) throws IOException {
    delete(sandbox);
    return Files.createDirectory(
        directory(sandbox),
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxrwx---")));
  }

  /**
   * Gives a directory another sandbox's name. A VMM that has it goes on in it.
   *
   * @throws IOException when there is none, or the other name is taken: then nothing has changed
   */
  public void rename(String from, String to) throws IOException {
    if (Files.exists(directory(to), LinkOption.NOFOLLOW_LINKS)) {
      throw new FileAlreadyExistsException(directory(to).toString());
    }
    Files.move(directory(from), directory(to), StandardCopyOption.ATOMIC_MOVE);
  }

  public void writeToken(String sandbox, String token) throws IOException {
    write(tokens.resolve(sandbox), token);
  }

  /** What it takes to make its machine and its guest again. */
  public void writeProfile(String sandbox, String profile) throws IOException {
    write(profiles.resolve(sandbox), profile);
  }

  public Optional<String> readProfile(String sandbox) throws IOException {
    try {
      return Optional.of(Files.readString(profiles.resolve(sandbox)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /** Makes durable what a sandbox needs to come back after the host itself was away. */
  public void sync(String sandbox, List<String> files) throws IOException {
    List<Path> all = new ArrayList<>(List.of(tokens.resolve(sandbox), profiles.resolve(sandbox)));
    files.forEach(file -> all.add(directory(sandbox).resolve(file)));
    for (Path file : all) {
      SparseFile.sync(file);
    }
    for (Path place : List.of(tokens, profiles, directory(sandbox), root)) {
      SparseFile.sync(place);
    }
  }

  private static void write(Path file, String text) throws IOException {
    Files.deleteIfExists(file);
    Files.createFile(
        file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.writeString(file, text, StandardOpenOption.WRITE);
  }

  public Optional<String> readToken(String sandbox) throws IOException {
    try {
      return Optional.of(Files.readString(tokens.resolve(sandbox)))
          .filter(token -> !token.isEmpty());
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /**
   * Everything of the sandbox. The directory is node-helper's to remove: a VMM may have made
   * something in it that nobody else gets into.
   *
   * @throws IOException when the token is left
   * @throws dev.cofferdam.node.helper.HelperException when something else is
   */
  public void delete(String sandbox) throws IOException {
    Files.deleteIfExists(profiles.resolve(sandbox));
    Files.deleteIfExists(tokens.resolve(sandbox));
    helper.removeSandbox(sandbox);
  }

  /** Every name that has a directory or a token. */
  public Set<String> present() {
    Set<String> names = new TreeSet<>();
    try (Stream<Path> directories = Files.list(root);
        Stream<Path> files = Files.list(tokens)) {
      Stream.concat(directories, files)
          .forEach(path -> names.add(String.valueOf(path.getFileName())));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list " + root + " and " + tokens, e);
    }
    return names;
  }
}
