package dev.cofferdam.node.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.CpCopier;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VolumesTest {
  private static final String A = "vol-aaaaaaaaaaaaaaaaaaaa";
  private static final String B = "vol-bbbbbbbbbbbbbbbbbbbb";

  @TempDir Path root;
  private final List<Integer> asked = new ArrayList<>();

  @Test
  void aVolumeIsMadeOnceAndRemovedOften() throws IOException {
    Volumes volumes = volumes();
    volumes.make(A, 64, Optional.empty());
    write(A, "kept");
    volumes.make(A, 64, Optional.empty());
    assertThat(text(A)).isEqualTo("kept");
    assertThat(root.resolve(A)).hasSize(64L << 20);
    volumes.require(List.of(A));

    volumes.remove(A);
    volumes.remove(A);
    refused(ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, () -> volumes.require(List.of(A)));
    assertThat(present()).isEmpty();
  }

  @Test
  void aRepeatWithAnotherSizeIsRefusedAndLosesNothing() throws IOException {
    Volumes volumes = volumes();
    volumes.make(A, 64, Optional.empty());
    write(A, "kept");
    refused(ErrorReason.ERROR_REASON_VOLUME_EXISTS, () -> volumes.make(A, 65, Optional.empty()));
    assertThat(text(A)).isEqualTo("kept");
  }

  @Test
  void aCopyIsOneOfItsOwnAndMayBeLarger() throws IOException {
    Volumes volumes = volumes();
    volumes.make(A, 64, Optional.empty());
    write(A, "kept");
    volumes.make(B, 80, Optional.of(A));
    write(A, "gone");
    assertThat(text(B)).isEqualTo("kept");
    assertThat(root.resolve(B)).hasSize(80L << 20);
    assertThat(SparseFile.extents(root.resolve(B)))
        .as("what is not a hole")
        .hasSameSizeAs(SparseFile.extents(root.resolve(A)));

    refused(
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
        () -> volumes.make("vol-cccccccccccccccccccc", 79, Optional.of(B)));
    refused(
        ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND,
        () -> volumes.make(A.replace('a', 'd'), 64, Optional.of(A.replace('a', 'e'))));
    assertThat(present()).containsExactlyInAnyOrder(A, B);
  }

  @Test
  void whatIsNoIdOrSizeIsRefused() {
    Volumes volumes = volumes();
    for (String id : List.of("", "vol-", "../etc", A + "a", A.replace('a', '1'), "/" + A)) {
      refused(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> volumes.make(id, 64, Optional.empty()));
      refused(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> volumes.make(A, 64, Optional.of(id)));
      refused(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> volumes.remove(id));
      refused(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> volumes.require(List.of(id)));
    }
    for (int size : List.of(-1, 0, 63, (1 << 20) + 1)) {
      refused(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          () -> volumes.make(A, size, Optional.empty()));
    }
    assertThat(present()).isEmpty();
  }

  @Test
  void aLinkIsNoVolume() throws IOException {
    Volumes volumes = volumes();
    Path precious = Files.writeString(root.resolve("precious"), "x".repeat(100));
    Files.createSymbolicLink(root.resolve(A), precious);
    refused(ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, () -> volumes.require(List.of(A)));
    refused(ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, () -> volumes.make(B, 64, Optional.of(A)));
    volumes.remove(A);
    assertThat(precious).exists();
  }

  @Test
  void withoutRoomNothingIsMade() {
    Volumes full =
        new Volumes(
            root,
            VolumesTest::blank,
            new CpCopier()::copy,
            mib -> {
              asked.add(mib);
              throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full");
            });
    refused(ErrorReason.ERROR_REASON_NO_CAPACITY, () -> full.make(A, 64, Optional.empty()));
    assertThat(asked).containsExactly(64);
    assertThat(present()).isEmpty();
  }

  @Test
  void whatWasBeingMadeWhenTheProcessDiedIsRemoved() throws IOException {
    Volumes dying =
        new Volumes(
            root,
            (file, size) -> {
              blank(file, size);
              throw new Error("killed");
            },
            new CpCopier()::copy,
            mib -> {});
    assertThatThrownBy(() -> dying.make(A, 64, Optional.empty())).isInstanceOf(Error.class);
    blank(root.resolve(".making-" + B), 64);
    Volumes next = volumes();
    assertThat(present()).isEmpty();
    next.make(A, 64, Optional.empty());
    assertThat(present()).containsExactly(A);
    assertThat(next.files()).containsExactly(root.resolve(A));
  }

  private Volumes volumes() {
    return new Volumes(root, VolumesTest::blank, new CpCopier()::copy, mib -> {});
  }

  private static void blank(Path file, int sizeMib) throws IOException {
    SparseFile.create(file, (long) sizeMib << 20).close();
  }

  private void write(String volume, String text) throws IOException {
    Files.writeString(root.resolve(volume), text, StandardOpenOption.WRITE);
  }

  private String text(String volume) throws IOException {
    try (var in = Files.newInputStream(root.resolve(volume))) {
      return new String(in.readNBytes(4), StandardCharsets.US_ASCII);
    }
  }

  private List<String> present() {
    try (Stream<Path> files = Files.list(root)) {
      return files.map(file -> String.valueOf(file.getFileName())).toList();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void refused(ErrorReason reason, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            Refusal.class, refusal -> assertThat(refusal.reason()).isEqualTo(reason));
  }
}
