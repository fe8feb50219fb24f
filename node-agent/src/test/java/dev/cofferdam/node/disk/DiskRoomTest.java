package dev.cofferdam.node.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiskRoomTest {
  private static final int RESERVE = 100;

  @TempDir Path directory;
  private Path sandboxes;
  private Path volumes;
  private long free = 1000L << 20;
  private DiskRoom room;

  @BeforeEach
  void make() throws IOException {
    sandboxes = Files.createDirectory(directory.resolve("sandboxes"));
    volumes = Files.createDirectory(directory.resolve("volumes"));
    room = new DiskRoom(List.of(sandboxes, volumes), () -> free, (long) RESERVE << 20);
  }

  @Test
  void noMoreIsPromisedThanThereIs() {
    var _ = room.promise(600);
    refused(301);
    var _ = room.promise(300);
    refused(1);
    assertThat(room.availableMib()).isZero();
  }

  @Test
  void whatGuestsHaveNotWrittenYetIsStillTheirs() throws IOException {
    disk("one", 400, 0);
    SparseFile.create(volumes.resolve("vol"), 300L << 20).close();
    room.recount();
    // A sparse file has its last block.
    var _ = room.promise(200);
    refused(1);
  }

  @Test
  void whatTheyHaveWrittenIsCountedOnce() throws IOException {
    disk("one", 400, 64);
    free = (1000L - 64) << 20;
    room.recount();
    // 936 free, 336 of them promised, 100 reserved.
    assertThat(room.availableMib()).isBetween(499L, 500L);
  }

  @Test
  void aPromiseIsNotForgottenByACountBeforeItsFileIsThere() throws IOException {
    DiskRoom.Promise promise = room.promise(500);
    room.recount();
    refused(401);
    disk("one", 500, 0);
    promise.close();
    promise.close();
    refused(401);
    room.promise(400).close();
  }

  @Test
  void guestsThatHaveEndedHoldNothingBack() {
    for (int i = 0; i < 20; i++) {
      room.promise(500).close();
    }
    assertThat(room.availableMib()).isEqualTo(400);
    var _ = room.promise(900);
  }

  @Test
  void aFullHostRefusesWhateverWasCounted() {
    free = 50L << 20;
    refused(1);
    assertThat(room.availableMib()).isZero();
  }

  private void disk(String sandbox, int mib, int written) throws IOException {
    Path file = Files.createDirectory(sandboxes.resolve(sandbox)).resolve("disk.ext4");
    try (FileChannel channel = SparseFile.create(file, (long) mib << 20)) {
      ByteBuffer bytes = ByteBuffer.allocate(1 << 20);
      while (bytes.hasRemaining()) {
        bytes.put((byte) 1);
      }
      for (int i = 0; i < written; i++) {
        channel.write(bytes.rewind(), (long) i << 20);
      }
      channel.force(false);
    }
  }

  private void refused(int mib) {
    assertThatThrownBy(() -> room.promise(mib))
        .isInstanceOfSatisfying(
            Refusal.class,
            refusal ->
                assertThat(refusal.reason()).isEqualTo(ErrorReason.ERROR_REASON_NO_CAPACITY));
  }
}
