package dev.cofferdam.node.cloudhypervisor;

import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;

/**
 * What lies in a sandbox's directory while its VMM writes or reads a snapshot: Cloud Hypervisor
 * names the three files of one by itself, all of them in one directory.
 */
final class VmmFiles {
  static final String CONFIG = "config.json";
  static final String STATE = "state.json";
  static final String MEMORY = "memory-ranges";

  /** As Cloud Hypervisor names them. */
  static final List<String> ALL = List.of(CONFIG, STATE, MEMORY);

  private final Path directory;

  VmmFiles(Path directory) {
    this.directory = directory;
  }

  /** It writes over nothing, and what a restore read is of no use any more. */
  void clear() throws IOException {
    for (String file : ALL) {
      Files.deleteIfExists(directory.resolve(file));
    }
  }

  /**
   * Lays out what was kept, for the VMM to read.
   *
   * @param memory where the VMM finds it
   */
  void lay(KeptState kept, Path memory) throws IOException {
    clear();
    readable(CONFIG, kept.config());
    readable(STATE, kept.state());
    Files.createSymbolicLink(directory.resolve(MEMORY), memory);
  }

  /** Nobody but the VMM and we reach the directory; the VMM is in no group of ours. */
  private void readable(String name, byte[] text) throws IOException {
    Path file = directory.resolve(name);
    Files.write(
        Files.createFile(
            file,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))),
        text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("r--r--r--"));
  }

  /**
   * Moves what the VMM wrote to where it is kept: both files or, where that fails, none.
   *
   * @param target holds neither
   */
  void keep(String version, Path target) throws IOException {
    Path ram = target.resolve(MachineSpec.RAM);
    Path state = target.resolve(MachineSpec.STATE);
    Path memory = directory.resolve(MEMORY);
    try {
      if (!Files.isRegularFile(memory, LinkOption.NOFOLLOW_LINKS)) {
        throw new IOException("the VMM wrote no memory");
      }
      new KeptState(
              version,
              Files.size(memory),
              KeptState.bounded(directory.resolve(CONFIG), KeptState.MAX_BYTES / 2),
              KeptState.bounded(directory.resolve(STATE), KeptState.MAX_BYTES / 2))
          .write(state);
      if (target.equals(directory)) {
        Files.move(memory, ram, StandardCopyOption.ATOMIC_MOVE);
      } else {
        // Copied, not moved: it belongs to a slot's user, which later runs another tenant's VMM.
        try (FileChannel channel = SparseFile.create(ram, Files.size(memory))) {
          SparseFile.copy(memory, SparseFile.extents(memory), channel);
        }
      }
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(state);
      if (!(e instanceof FileAlreadyExistsException)) {
        Files.deleteIfExists(ram);
      }
      throw e;
    } finally {
      clear();
    }
  }

  /** Whether a snapshot may be put there. */
  static void requireFree(Path target) throws IOException {
    for (String file : List.of(MachineSpec.RAM, MachineSpec.STATE)) {
      if (Files.exists(target.resolve(file), LinkOption.NOFOLLOW_LINKS)) {
        throw new FileAlreadyExistsException(file);
      }
    }
  }
}
