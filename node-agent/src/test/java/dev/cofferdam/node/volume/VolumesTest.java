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
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
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
    make(volumes, A, 64, Optional.empty());
    write(A, "kept");
    make(volumes, A, 64, Optional.empty());
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
    make(volumes, A, 64, Optional.empty());
    write(A, "kept");
    refused(ErrorReason.ERROR_REASON_VOLUME_EXISTS, () -> make(volumes, A, 65, Optional.empty()));
    assertThat(text(A)).isEqualTo("kept");
  }

  @Test
  void aCopyIsOneOfItsOwnAndMayBeLarger() throws IOException {
    Volumes volumes = volumes();
    make(volumes, A, 64, Optional.empty());
    write(A, "kept");
    make(volumes, B, 80, Optional.of(A));
    write(A, "gone");
    assertThat(text(B)).isEqualTo("kept");
    assertThat(root.resolve(B)).hasSize(80L << 20);
    assertThat(SparseFile.extents(root.resolve(B)))
        .as("what is not a hole")
        .hasSameSizeAs(SparseFile.extents(root.resolve(A)));

    refused(
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
        () -> make(volumes, "vol-cccccccccccccccccccc", 79, Optional.of(B)));
    refused(
        ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND,
        () -> make(volumes, A.replace('a', 'd'), 64, Optional.of(A.replace('a', 'e'))));
    assertThat(present()).containsExactlyInAnyOrder(A, B);
  }

  @Test
  void whatIsNoIdOrSizeIsRefused() {
    Volumes volumes = volumes();
    for (String id : List.of("", "vol-", "../etc", A + "a", A.replace('a', '1'), "/" + A)) {
      refused(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> make(volumes, id, 64, Optional.empty()));
      refused(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> make(volumes, A, 64, Optional.of(id)));
      refused(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> volumes.remove(id));
      refused(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> volumes.require(List.of(id)));
    }
    for (int size : List.of(-1, 0, 63, (1 << 20) + 1)) {
      refused(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          () -> make(volumes, A, size, Optional.empty()));
    }
    assertThat(present()).isEmpty();
  }

  @Test
  void aLinkIsNoVolume() throws IOException {
    Volumes volumes = volumes();
    Path precious = Files.writeString(root.resolve("precious"), "x".repeat(100));
    Files.createSymbolicLink(root.resolve(A), precious);
    refused(ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, () -> volumes.require(List.of(A)));
    refused(ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, () -> make(volumes, B, 64, Optional.of(A)));
    volumes.remove(A);
    assertThat(precious).exists();
  }

  @Test
  void aDiskBeginsAsACopyAndMayBeLarger(@TempDir Path sandbox) throws IOException {
    Volumes volumes = volumes();
    make(volumes, A, 64, Optional.empty());
    write(A, "then");
    Path disk = sandbox.resolve("disk");
    volumes.copyOut(A, disk, 65);
    assertThat(Files.size(disk)).isEqualTo(65 << 20);
    write(A, "late");
    try (var in = Files.newInputStream(disk)) {
      assertThat(in.readNBytes(4)).isEqualTo("then".getBytes(StandardCharsets.US_ASCII));
    }
    refused(ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND, () -> copied(volumes, B, sandbox, 64));
    refused(ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE, () -> copied(volumes, A, sandbox, 63));
    refused(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, () -> copied(volumes, "../x", sandbox, 64));
    assertThat(sandbox.resolve("other")).doesNotExist();
  }

  private static boolean copied(Volumes volumes, String id, Path directory, int mib)
      throws IOException {
    volumes.copyOut(id, directory.resolve("other"), mib);
    return true;
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
    refused(ErrorReason.ERROR_REASON_NO_CAPACITY, () -> make(full, A, 64, Optional.empty()));
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
            _ -> () -> {});
    assertThatThrownBy(() -> make(dying, A, 64, Optional.empty())).isInstanceOf(Error.class);
    blank(root.resolve(".making-" + B), 64);
    Volumes next = volumes();
    assertThat(present()).isEmpty();
    make(next, A, 64, Optional.empty());
    assertThat(present()).containsExactly(A);
    assertThat(next.files()).containsExactly(root.resolve(A));
  }

  @Test
  void aCallThatHasEndedMakesNothingAnyMore() {
    // At its begin, and at the last moment, when the volume was removed perhaps.
    for (int left : List.of(0, 1)) {
      AtomicInteger calls = new AtomicInteger(left);
      refused(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
          () -> volumes().make(A, 64, Optional.empty(), () -> calls.getAndDecrement() > 0));
      assertThat(present()).isEmpty();
    }
  }

  @Test
  void aSourceIsCopiedWhileNobodyWritesToIt() throws IOException {
    Volumes volumes = volumes();
    make(volumes, A, 64, Optional.empty());
    write(A, "late");
    var source =
        new Volumes.Source(
            A,
            copy -> {
              try {
                write(A, "then");
                copy.run();
                write(A, "next");
              } catch (IOException e) {
                throw new IllegalStateException(e);
              }
            });
    volumes.make(B, 64, Optional.of(source), () -> true);
    assertThat(text(B)).isEqualTo("then");
    assertThat(text(A)).isEqualTo("next");
  }

  @Test
  void aRemoveWaitsForTheMakeAndOthersForNeither() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    Volumes slow =
        new Volumes(
            root,
            (file, size) -> {
              if (size == 128) {
                arrived.countDown();
                await(go);
              }
              blank(file, size);
            },
            new CpCopier()::copy,
            _ -> () -> {});
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      var making = threads.submit(() -> make(slow, A, 128, Optional.empty()));
      await(arrived);
      var removing =
          threads.submit(() -> {
            slow.remove(A);
            return true;
          });
      make(slow, B, 64, Optional.empty());
      slow.remove(B);
      assertThat(removing.isDone()).isFalse();
      go.countDown();
      assertThat(making.get(30, TimeUnit.SECONDS)).isTrue();
      assertThat(removing.get(30, TimeUnit.SECONDS)).isTrue();
    }
    assertThat(present()).isEmpty();
  }

  @Test
  void whatIsPromisedIsHeldUntilTheFileIsThere() throws IOException {
    List<String> seen = new ArrayList<>();
    Volumes watched =
        new Volumes(
            root,
            (file, size) -> {
              seen.add("format");
              blank(file, size);
            },
            new CpCopier()::copy,
            mib -> {
              seen.add("promise " + mib);
              return () -> seen.add(present().contains(A) ? "there" : "not there");
            });
    make(watched, A, 64, Optional.empty());
    assertThat(seen).containsExactly("promise 64", "format", "there");
  }

  private static void await(CountDownLatch latch) throws IOException {
    try {
      if (!latch.await(30, TimeUnit.SECONDS)) {
        throw new IOException("did not happen");
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  private static boolean make(Volumes volumes, String id, int size, Optional<String> source)
      throws IOException {
    volumes.make(id, size, source.map(Volumes.Source::unused), () -> true);
    return true;
  }

  private Volumes volumes() {
    return new Volumes(root, VolumesTest::blank, new CpCopier()::copy, _ -> () -> {});
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
