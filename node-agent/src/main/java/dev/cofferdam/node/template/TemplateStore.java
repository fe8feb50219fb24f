package dev.cofferdam.node.template;

import com.fasterxml.jackson.core.JsonProcessingException;
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
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Templates on disk, by the digest of all that they depend on. Several meshes of one machine may
 * share the root.
 *
 * <p>Every making has a directory of its own, {@code <digest>-<16 hex digits>}, whose files never
 * change: node-helper keeps a template's memory by that name for as long as it lives, and reads its
 * devices' state at each restore, so the two must not come from different makings. A directory
 * counts once its index is there, which is written when everything else is complete, durable and
 * proven.
 */
public final class TemplateStore {
  private static final Logger log = LoggerFactory.getLogger(TemplateStore.class);
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String INDEX = "template.json";
  private static final List<String> PARTS =
      List.of(MachineSpec.RAM, MachineSpec.STATE, MachineSpec.DISK);

  /** A making's directory; with the dot one as earlier versions left them. */
  private static final Predicate<String> MAKING =
      Pattern.compile("[0-9a-f]{16,64}-[0-9a-f]{16}|\\.[0-9a-f]{16,64}-.+").asMatchPredicate();

  /**
   * How long a making without an index is left alone: each takes a few minutes, and it may be
   * another mesh's.
   */
  private static final Duration ABANDONED = Duration.ofHours(1);

  private final Path root;
  private final InstantSource clock;
  private final RandomGenerator random;

  /**
   * @param clock as the file system's
   * @param random tells makings apart
   */
  public TemplateStore(Path root, InstantSource clock, RandomGenerator random) {
    this.root = root;
    this.clock = clock;
    this.random = random;
  }

  /**
   * The newest that is whole; a broken one is as good as none.
   *
   * @param refused names that are no good
   */
  public Optional<Template> find(String digest, Image image, MachineSize size, Set<String> refused)
      throws IOException {
    Predicate<String> wanted =
        Pattern.compile(Pattern.quote(digest) + "-[0-9a-f]{16}").asMatchPredicate();
    record Made(Template template, FileTime time) {}
    List<Made> whole = new ArrayList<>();
    for (Path directory : directories(name -> wanted.test(name) && !refused.contains(name))) {
      Optional<List<Extent>> extents = wholeWithDisk(directory);
      if (extents.isPresent()) {
        whole.add(
            new Made(
                new Template(name(directory), directory, image, size, extents.get()),
                Files.getLastModifiedTime(directory.resolve(INDEX))));
      }
    }
    return whole.stream()
        .max(Comparator.comparing(Made::time).thenComparing(made -> made.template().name()))
        .map(Made::template);
  }

  /**
   * Copies a snapshot out of the directory in which its machine ran, so that this node can restore
   * from it and nobody else finds it. Copied, not moved: those files belong to a slot's user, which
   * later runs a tenant's VMM.
   */
  public Template stage(String digest, Image image, MachineSize size, Path source)
      throws IOException {
    Files.createDirectories(root);
    byte[] making = new byte[8];
    random.nextBytes(making);
    String name = digest + "-" + HexFormat.of().formatHex(making);
    Path directory = Files.createDirectory(root.resolve(name));
    try {
      Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-x---"));
      List<Extent> diskExtents = List.of();
      for (String part : PARTS) {
        List<Extent> extents = SparseFile.copy(source.resolve(part), directory.resolve(part));
        if (part.equals(MachineSpec.DISK)) {
          diskExtents = extents;
        }
      }
      sync(directory);
      return new Template(name, directory, image, size, diskExtents);
    } catch (IOException | RuntimeException e) {
      delete(directory);
      throw e;
    }
  }

  /**
   * Lets others find it.
   *
   * @param refused names that are no good
   * @return the one to use: another, if one appeared meanwhile. That one is unproven here
   */
  public Template publish(String digest, Template staged, Set<String> refused) throws IOException {
    Optional<Template> meanwhile = find(digest, staged.image(), staged.size(), refused);
    if (meanwhile.isPresent()) {
      discard(staged);
      return meanwhile.get();
    }
    ObjectNode index =
        JSON.createObjectNode()
            .put("image", staged.image().digest())
            .put("place", staged.image().directory().toString());
    ObjectNode sizes = index.putObject("sizes");
    for (String part : PARTS) {
      sizes.put(part, Files.size(staged.directory().resolve(part)));
    }
    ArrayNode list = index.putArray("disk_extents");
    staged
        .diskExtents()
        .forEach(extent -> list.addArray().add(extent.offset()).add(extent.length()));
    Path fresh = staged.directory().resolve(INDEX + ".new");
    write(fresh, index.toString());
    Files.move(fresh, staged.directory().resolve(INDEX), StandardCopyOption.ATOMIC_MOVE);
    sync(staged.directory());
    sync(root);
    return staged;
  }

  /** Only for one that was never published: what was may be loaded by anybody. */
  public void discard(Template staged) throws IOException {
    delete(staged.directory());
  }

  /**
   * Takes away all that was made of an image. Only of one that no other mesh has, and that nothing
   * is restored from any more; who was goes on.
   *
   * @param forget is told each name, whose memory somebody may keep
   */
  public void removeOf(String image, Consumer<String> forget) throws IOException {
    for (Path directory : directories(MAKING)) {
      Path index = directory.resolve(INDEX);
      if (Files.isRegularFile(index)
          && image.equals(JSON.readTree(index.toFile()).path("image").asText())) {
        Files.deleteIfExists(index);
        forget.accept(name(directory));
        delete(directory);
      }
    }
  }

  /**
   * Removes what a making that was killed left behind, and what was made of images that are no
   * more, as those of a mesh whose state was removed: nothing can be restored from it. Quiet about
   * failures: it is only room on the disk.
   */
  public void removeAbandoned() {
    Instant before = clock.instant().minus(ABANDONED);
    try {
      for (Path directory : directories(MAKING)) {
        if (touched(directory).isBefore(before)
            && (!Files.exists(directory.resolve(INDEX)) || withoutImage(directory))) {
          delete(directory);
          log.atInfo()
              .setMessage("template_making_removed")
              .addKeyValue("name", name(directory))
              .log();
        }
      }
    } catch (IOException e) {
      log.atWarn().setMessage("template_makings_not_removed").setCause(e).log();
    }
  }

  private List<Path> directories(Predicate<String> wanted) throws IOException {
    if (!Files.isDirectory(root)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(root)) {
      return entries.filter(entry -> wanted.test(name(entry)) && Files.isDirectory(entry)).toList();
    }
  }

  /** What of its disk is not zero; empty where the template is not whole. */
  private static Optional<List<Extent>> wholeWithDisk(Path directory) throws IOException {
    Path index = directory.resolve(INDEX);
    if (!Files.isRegularFile(index)) {
      return Optional.empty();
    }
    JsonNode json;
    try {
      json = JSON.readTree(index.toFile());
    } catch (JsonProcessingException e) {
      return Optional.empty();
    }
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
    return Optional.of(extents);
  }

  /** One whose image this process may not look at is not without it. */
  private static boolean withoutImage(Path directory) throws IOException {
    try {
      String place = JSON.readTree(directory.resolve(INDEX).toFile()).path("place").asText();
      return !place.isEmpty() && Files.notExists(Path.of(place));
    } catch (JsonProcessingException e) {
      return false;
    }
  }

  /** When anything in it was written last. */
  private static Instant touched(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      Instant last = Files.getLastModifiedTime(directory).toInstant();
      for (Path file : files.toList()) {
        Instant time = Files.getLastModifiedTime(file).toInstant();
        last = time.isAfter(last) ? time : last;
      }
      return last;
    } catch (NoSuchFileException e) {
      // Its maker is alive and took it away.
      return Instant.MAX;
    }
  }

  private static String name(Path directory) {
    return String.valueOf(directory.getFileName());
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
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.deleteIfExists(file);
      }
    }
    Files.deleteIfExists(directory);
  }
}
