package dev.cofferdam.node.snapshot;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.Extent;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Snapshots, a directory each beside the templates, so that a machine comes out of either the same
 * way. One counts once its index is there, which is written when everything else is durable; its
 * files never change afterwards.
 */
public final class SnapshotStore {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Pattern ID = Pattern.compile("sn-[a-z2-7]{20}");
  private static final String INDEX = "snapshot.json";
  private static final List<String> PARTS =
      List.of(MachineSpec.RAM, MachineSpec.STATE, MachineSpec.DISK);

  private final Path root;

  public SnapshotStore(Path root) {
    this.root = root;
  }

  /** An id becomes a path: nothing but the one form gets in. */
  public static void requireId(String id) {
    if (!ID.matcher(id).matches()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "snapshot is '" + id + "', expected " + ID);
    }
  }

  /**
   * @throws Refusal SNAPSHOT_NOT_FOUND, or SNAPSHOT_UNUSABLE when it cannot be read
   */
  public Snapshot require(String id) {
    try {
      return find(id)
          .orElseThrow(() ->
              new Refusal(
                  ErrorReason.ERROR_REASON_SNAPSHOT_NOT_FOUND, id + " is not on this node"));
    } catch (IOException e) {
      Refusal refusal =
          new Refusal(
              ErrorReason.ERROR_REASON_SNAPSHOT_UNUSABLE, id + " is broken: " + e.getMessage());
      refusal.initCause(e);
      throw refusal;
    }
  }

  /** Empty for one that is not whole. */
  public Optional<Snapshot> find(String id) throws IOException {
    requireId(id);
    Path directory = root.resolve(id);
    String text;
    try {
      text = Files.readString(directory.resolve(INDEX));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
    return Optional.of(decode(id, directory, text));
  }

  /** Digests of the images of all of them. */
  public Set<String> images() throws IOException {
    Set<String> images = new TreeSet<>();
    if (Files.isDirectory(root)) {
      try (Stream<Path> directories = Files.list(root)) {
        for (Path directory : directories.toList()) {
          String id = String.valueOf(directory.getFileName());
          if (ID.matcher(id).matches()) {
            find(id).ifPresent(snapshot -> images.add(snapshot.image()));
          }
        }
      }
    }
    return images;
  }

  /** An empty directory to put it into; what an earlier try left is gone. */
  public Path begin(String id) throws IOException {
    requireId(id);
    Path directory = root.resolve(id);
    delete(directory);
    Files.createDirectories(root);
    Files.createDirectory(directory);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-x---"));
    return directory;
  }

  /**
   * Makes what lies in its directory durable, and then counts it.
   *
   * @param draft whose bytes are found here
   */
  public Snapshot commit(Snapshot draft) throws IOException {
    long bytes = 0;
    for (String part : PARTS) {
      Path file = draft.directory().resolve(part);
      if (Files.exists(file)) {
        SparseFile.sync(file);
        bytes += SparseFile.extents(file).stream().mapToLong(Extent::length).sum();
      }
    }
    Snapshot whole =
        new Snapshot(
            draft.id(),
            draft.directory(),
            draft.sandbox(),
            draft.full(),
            draft.size(),
            draft.image(),
            draft.kernelArguments(),
            draft.fingerprint(),
            draft.token(),
            bytes);
    Path fresh = draft.directory().resolve(INDEX + ".new");
    Files.createFile(
        fresh, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.writeString(fresh, encode(whole), StandardOpenOption.WRITE);
    SparseFile.sync(fresh);
    Files.move(fresh, draft.directory().resolve(INDEX), StandardCopyOption.ATOMIC_MOVE);
    SparseFile.sync(draft.directory());
    SparseFile.sync(root);
    return whole;
  }

  /** Idempotent. Machines that came out of it go on. */
  public void remove(String id) throws IOException {
    requireId(id);
    delete(root.resolve(id));
  }

  private static String encode(Snapshot snapshot) {
    ObjectNode json =
        JSON.createObjectNode()
            .put("sandbox", snapshot.sandbox())
            .put("full", snapshot.full())
            .put("vcpus", snapshot.size().vcpus())
            .put("memory_mib", snapshot.size().memoryMib())
            .put("disk_mib", snapshot.size().diskMib())
            .put("image", snapshot.image())
            .put("kernel_arguments", snapshot.kernelArguments())
            .put("fingerprint", snapshot.fingerprint())
            .put("token", snapshot.token())
            .put("bytes", snapshot.bytes());
    return json.toString();
  }

  private static Snapshot decode(String id, Path directory, String text) throws IOException {
    try {
      JsonNode json = JSON.readTree(text);
      return new Snapshot(
          id,
          directory,
          json.required("sandbox").asText(),
          json.required("full").asBoolean(),
          new MachineSize(
              json.required("vcpus").asInt(),
              json.required("memory_mib").asInt(),
              json.required("disk_mib").asInt()),
          json.required("image").asText(),
          json.required("kernel_arguments").asText(),
          json.required("fingerprint").asText(),
          json.required("token").asText(),
          json.required("bytes").asLong());
    } catch (JsonProcessingException | IllegalArgumentException e) {
      throw new IOException("its index cannot be read", e);
    }
  }

  /** The index first: what is half gone does not count. */
  private static void delete(Path directory) throws IOException {
    Files.deleteIfExists(directory.resolve(INDEX));
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.deleteIfExists(file);
      }
    } catch (NoSuchFileException e) {
      return;
    }
    Files.deleteIfExists(directory);
  }
}
