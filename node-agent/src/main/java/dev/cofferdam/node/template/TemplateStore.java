package dev.cofferdam.node.template;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.disk.Extent;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Templates on disk, by digest. A directory appears under its name only when everything in it is
 * complete and durable, so what is found is whole; several meshes of one machine may share the
 * root.
 */
public final class TemplateStore {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String INDEX = "template.json";
  private static final List<String> PARTS =
      List.of(MachineSpec.RAM, MachineSpec.STATE, MachineSpec.DISK);

  private final Path root;

  public TemplateStore(Path root) {
    this.root = root;
  }

  /** Empty where it is not there or not whole; a broken one is as good as none. */
  public Optional<Template> find(String digest, Image image, MachineSize size) throws IOException {
    Path directory = root.resolve(digest);
    Path index = directory.resolve(INDEX);
    if (!Files.isRegularFile(index)) {
      return Optional.empty();
    }
    JsonNode json = JSON.readTree(index.toFile());
    for (String part : PARTS) {
      Path file = directory.resolve(part);
      if (!Files.isRegularFile(file)
          || Files.size(file) != json.path("sizes").path(part).asLong(-1)) {
        return Optional.empty();
      }
    }
    List<Extent> extents = new ArrayList<>();
    for (JsonNode extent : json.path("disk_extents")) {
      extents.add(new Extent(extent.path(0).asLong(), extent.path(1).asLong()));
    }
    return Optional.of(new Template(digest, directory, image, size, extents));
  }

  /**
   * Copies a snapshot out of the directory in which its machine ran. Copied, not moved: those files
   * belong to a slot's user, which later runs a tenant's VMM.
   */
  public Template publish(String digest, Image image, MachineSize size, Path source)
      throws IOException {
    Files.createDirectories(root);
    Path fresh = Files.createTempDirectory(root, "." + digest + "-");
    try {
      ObjectNode index = JSON.createObjectNode().put("image", image.digest());
      ObjectNode sizes = index.putObject("sizes");
      List<Extent> diskExtents = List.of();
      for (String part : PARTS) {
        List<Extent> extents = SparseFile.copy(source.resolve(part), fresh.resolve(part));
        sizes.put(part, Files.size(fresh.resolve(part)));
        if (part.equals(MachineSpec.DISK)) {
          diskExtents = extents;
        }
      }
      ArrayNode list = index.putArray("disk_extents");
      diskExtents.forEach(extent -> list.addArray().add(extent.offset()).add(extent.length()));
      write(fresh.resolve(INDEX), index.toString());
      Files.setPosixFilePermissions(
          fresh, java.nio.file.attribute.PosixFilePermissions.fromString("rwxr-x---"));
      sync(fresh);
      Path target = root.resolve(digest);
      if (!moved(fresh, target)) {
        Optional<Template> meanwhile = find(digest, image, size);
        if (meanwhile.isPresent()) {
          // Another mesh made it and may restore from it already: its memory and its state belong
          // together and must not be exchanged under it.
          return meanwhile.get();
        }
        delete(target);
        Files.move(fresh, target, StandardCopyOption.ATOMIC_MOVE);
      }
      sync(root);
      return new Template(digest, target, image, size, diskExtents);
    } finally {
      delete(fresh);
    }
  }

  /** False where there is one already, whole or broken. */
  private static boolean moved(Path fresh, Path target) throws IOException {
    try {
      Files.move(fresh, target, StandardCopyOption.ATOMIC_MOVE);
      return true;
    } catch (FileSystemException e) {
      // ENOTEMPTY has no exception of its own in a move.
      if (Files.isDirectory(target)) {
        return false;
      }
      throw e;
    }
  }

  private static void write(Path file, String text) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.force(true);
    }
  }

  private static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  private static void delete(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(directory);
  }
}
