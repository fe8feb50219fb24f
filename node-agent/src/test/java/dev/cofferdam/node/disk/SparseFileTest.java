package dev.cofferdam.node.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SparseFileTest {
  private static final long SIZE = (3 << 20) + 100;

  @TempDir Path directory;

  @Test
  void whatIsNotZeroIsFoundAndNeighboursAreJoined() throws IOException {
    Path file = file(0, 4096, (1 << 20) - 1, 1 << 20, SIZE - 1);
    assertThat(SparseFile.extents(file))
        .containsExactly(
            new Extent(0, 8192), new Extent((1 << 20) - 4096, 8192), new Extent(3 << 20, 100));
  }

  @Test
  void aCopyHasTheSameBytesAndTheHoles() throws IOException {
    Path source = file(5, 2 << 20, SIZE - 1);
    Path target = directory.resolve("copy");
    SparseFile.copy(source, target);
    assertThat(Files.mismatch(source, target)).isEqualTo(-1);
    // In units of 512 bytes, stat(2): a hole takes none.
    long blocks = blocks(target);
    assertThat(blocks * 512).isLessThan(64 << 10);
    assertThat(SparseFile.extents(target)).isEqualTo(SparseFile.extents(source));
  }

  @Test
  void anEmptyFileHasNoExtents() throws IOException {
    Path file = directory.resolve("empty");
    SparseFile.create(file, 1 << 20).close();
    assertThat(SparseFile.extents(file)).isEmpty();
    assertThat(file).hasSize(1 << 20);
    assertThatThrownBy(() -> SparseFile.create(file, 1).close())
        .isInstanceOf(FileAlreadyExistsException.class);
  }

  @Test
  void aLinkIsNotFollowed() throws IOException {
    Path link = Files.createSymbolicLink(directory.resolve("link"), file(1));
    assertThatThrownBy(() -> SparseFile.extents(link))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("symbolic");
    assertThatThrownBy(() -> SparseFile.copy(link, directory.resolve("copy")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("symbolic");
  }

  @Test
  void aSourceThatIsTooShortIsSaid() throws IOException {
    Path source = file(1);
    try (FileChannel target = SparseFile.create(directory.resolve("t"), 1)) {
      assertThatThrownBy(() -> SparseFile.copy(source, List.of(new Extent(SIZE - 1, 4096)), target))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("expected data up to");
    }
  }

  private Path file(long... ones) throws IOException {
    Path file = directory.resolve("file");
    try (FileChannel channel = SparseFile.create(file, SIZE)) {
      for (long at : ones) {
        channel.write(ByteBuffer.wrap(new byte[] {1}), at);
      }
    }
    return file;
  }

  private static long blocks(Path file) throws IOException {
    Process process = new ProcessBuilder("stat", "-c", "%b", file.toString()).start();
    return Long.parseLong(
        new String(
                process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.US_ASCII)
            .strip());
  }
}
