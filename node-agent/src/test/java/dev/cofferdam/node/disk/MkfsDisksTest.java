package dev.cofferdam.node.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Offsets are those of ext4's superblock: docs.kernel.org/filesystems/ext4/super.html. */
class MkfsDisksTest {
  private static final int SUPERBLOCK = 1024;
  private static final int HAS_JOURNAL = 0x4;

  @TempDir Path directory;

  @Test
  void aDiskIsLaidOutAsThoseOfTheImages() throws IOException {
    Path disk = directory.resolve("disk");
    new MkfsDisks().format(disk, 64);

    ByteBuffer block = superblock(disk);
    assertThat(Short.toUnsignedInt(block.getShort(0x38))).as("magic").isEqualTo(0xef53);
    assertThat(block.getInt(0x5c) & HAS_JOURNAL).as("journal").isZero();
    assertThat(block.getInt(0x08)).as("reserved blocks").isZero();
    byte[] label = new byte[7];
    block.get(0x78, label);
    assertThat(new String(label, StandardCharsets.US_ASCII)).isEqualTo("sandbox");
    assertThat(disk).hasSize(64L << 20);
    assertThat(SparseFile.extents(disk).stream().mapToLong(Extent::length).sum())
        .as("bytes on the host")
        .isLessThan(4L << 20);
  }

  @Test
  void aVolumeHasAJournalAndStillTakesLittle() throws IOException {
    Path disk = directory.resolve("disk");
    MkfsDisks.forVolumes().format(disk, 1024);

    ByteBuffer block = superblock(disk);
    assertThat(block.getInt(0x5c) & HAS_JOURNAL).as("journal").isNotZero();
    assertThat(1024 << block.getInt(0x18)).as("block size").isEqualTo(4096);
    assertThat(disk).hasSize(1024L << 20);
    assertThat(SparseFile.extents(disk).stream().mapToLong(Extent::length).sum())
        .as("bytes on the host")
        .isLessThan(4L << 20);
  }

  @Test
  void aProgramThatFailsSaysWhy() throws IOException {
    Path program = program("echo no such luck; exit 3");
    assertThatThrownBy(() -> new MkfsDisks(program, Duration.ofSeconds(20)).format(disk(), 64))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("ended with 3: no such luck");
  }

  /** It waits for an input that never comes, with its output open. */
  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aProgramThatDoesNotEndIsNotWaitedForLonger() throws IOException {
    Path program = program("exec cat");
    assertThatThrownBy(() -> new MkfsDisks(program, Duration.ofMillis(50)).format(disk(), 64))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("did not end within");
  }

  private Path disk() {
    return directory.resolve("disk");
  }

  private Path program(String line) throws IOException {
    Path program = directory.resolve("mkfs");
    Files.writeString(program, "#!/bin/sh\n" + line + "\n");
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
    return program;
  }

  private static ByteBuffer superblock(Path disk) throws IOException {
    ByteBuffer block = ByteBuffer.allocate(1024).order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel channel = FileChannel.open(disk)) {
      while (block.hasRemaining() && channel.read(block, SUPERBLOCK + block.position()) > 0) {
        // Until it is all there.
      }
    }
    return block;
  }
}
