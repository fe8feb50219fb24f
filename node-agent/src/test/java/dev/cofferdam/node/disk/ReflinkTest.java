package dev.cofferdam.node.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Shared blocks, on file systems of its own: one that can, btrfs, and one that cannot, ext4. Needs
 * root and loop devices.
 */
@Timeout(120)
class ReflinkTest {
  private static final int MIB = 1 << 20;

  /** No file system of btrfs is smaller than 109 MiB. */
  private static final long BYTES = 192L * MIB;

  @TempDir Path directory;
  private @Nullable Path mounted;

  @AfterEach
  void unmount() throws IOException {
    if (mounted != null) {
      run("umount", mounted.toString());
    }
  }

  @Test
  void onBtrfsTheProbeSaysYesAndACloneSharesItsBlocksUntilItIsWrittenTo() throws IOException {
    Path root = mount("mkfs.btrfs", "btrfs");
    assertThat(new CpCopier().sharesBlocks(root)).isTrue();
    Path source = source(root);
    String whole = flags(source);
    assertThat(whole).as("nobody has them yet").isNotEmpty().doesNotContain("shared");

    Path byCp = root.resolve("by-cp");
    new CpCopier().copy(source, byCp);
    SparseFile.sync(byCp);
    assertThat(flags(byCp).lines()).hasSize(3).allMatch(line -> line.contains("shared"));
    Path byRanges = root.resolve("by-ranges");
    SparseFile.copy(source, byRanges);
    assertThat(flags(byRanges).lines())
        .as("all but the block that was written for the file's length")
        .containsExactly("extent shared", "extent shared", "extent last,eof");
    assertThat(byCp).hasSameBinaryContentAs(source);
    assertThat(byRanges).hasSameBinaryContentAs(source);

    byte[] before = Files.readAllBytes(source);
    try (FileChannel channel = FileChannel.open(byCp, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap("another's".getBytes(StandardCharsets.UTF_8)), 0);
      channel.force(true);
    }
    assertThat(Files.readAllBytes(source)).as("the source is nobody else's").isEqualTo(before);
    assertThat(Files.readAllBytes(byRanges)).isEqualTo(before);
    assertThat(flags(byCp).lines().filter(line -> !line.contains("shared")))
        .as("what was written to")
        .hasSize(1);
    assertThat(leftovers(root)).isEmpty();
  }

  @Test
  void onExt4TheProbeSaysNoAndACopyIsOne() throws IOException {
    Path root = mount("mkfs.ext4", "ext4");
    assertThat(new CpCopier().sharesBlocks(root)).isFalse();
    Path source = source(root);
    Path copy = root.resolve("by-cp");
    new CpCopier().copy(source, copy);
    SparseFile.sync(copy);
    assertThat(flags(copy)).isNotEmpty().doesNotContain("shared");
    assertThat(copy).hasSameBinaryContentAs(source);
    assertThat(leftovers(root)).isEmpty();
  }

  /** Some data, a hole, some data. */
  private static Path source(Path root) throws IOException {
    Path source = root.resolve("source");
    byte[] data = new byte[4 * MIB];
    new Random(1).nextBytes(data);
    try (FileChannel channel = SparseFile.create(source, 32L * MIB)) {
      channel.write(ByteBuffer.wrap(data), 0);
      channel.write(ByteBuffer.wrap(data), 16L * MIB);
      channel.force(true);
    }
    return source;
  }

  /** Of each extent, a line with its flags. */
  private static String flags(Path file) throws IOException {
    StringBuilder lines = new StringBuilder();
    for (String line : run("filefrag", "-v", file.toString()).split("\n", -1)) {
      // "   0:        0..    1023:      34304..     35327:   1024:             last,shared,eof"
      String[] fields = line.split(":", -1);
      if (fields[0].strip().matches("\\d+") && fields.length > 4) {
        lines.append("extent ").append(fields[fields.length - 1].strip()).append('\n');
      }
    }
    return lines.toString();
  }

  /** Of the probe. */
  private static List<String> leftovers(Path root) throws IOException {
    try (var files = Files.list(root)) {
      return files
          .map(file -> String.valueOf(file.getFileName()))
          .filter(name -> name.startsWith("."))
          .toList();
    }
  }

  private Path mount(String mkfs, String type) throws IOException {
    Path image = directory.resolve(type + ".img");
    SparseFile.create(image, BYTES).close();
    Path root = Files.createDirectory(directory.resolve(type));
    try {
      run(mkfs, "-q", image.toString());
      run("mount", "-t", type, "-o", "loop", image.toString(), root.toString());
    } catch (IOException e) {
      String skipped = "SKIPPED: shared blocks on " + type + ": " + e.getMessage();
      System.err.println(skipped);
      abort(skipped);
    }
    mounted = root;
    return root;
  }

  /** Its output. */
  private static String run(String... command) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("LC_ALL", "C");
    builder.command().set(0, program(command[0]));
    Process process = builder.start();
    try {
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
        throw new IOException(command[0] + " failed: " + said.strip());
      }
      return said;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    } finally {
      process.destroyForcibly();
    }
  }

  /** Where Debian puts it: not every user's PATH has both. */
  private static String program(String name) {
    for (String place : List.of("/usr/sbin", "/usr/bin", "/sbin", "/bin")) {
      if (Files.isExecutable(Path.of(place, name))) {
        return place + "/" + name;
      }
    }
    return name;
  }
}
