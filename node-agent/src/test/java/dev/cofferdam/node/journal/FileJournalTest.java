package dev.cofferdam.node.journal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.journal.JournalEntry.Claimed;
import dev.cofferdam.node.journal.JournalEntry.Ended;
import dev.cofferdam.node.journal.JournalEntry.Halt;
import dev.cofferdam.node.journal.JournalEntry.Halted;
import dev.cofferdam.node.journal.JournalEntry.Removing;
import dev.cofferdam.node.journal.JournalEntry.Running;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.ProcessId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileJournalTest {
  private static final List<JournalEntry> ENTRIES =
      List.of(
          new Claimed("sb-a", 1, 1),
          new Running("sb-a", 1, 1, new ProcessId(4711, 99), new MachineSize(1, 512, 2048)),
          new Claimed("sb-b", Long.MAX_VALUE, 2),
          halted(Halt.PASSING),
          halted(Halt.PAUSED),
          halted(Halt.CUT_OFF),
          new Removing("sb-a", 1, 1),
          new Ended("sb-a", 1, false),
          new Ended("sb-b", Long.MAX_VALUE, true));

  private static Halted halted(Halt halt) {
    return new Halted("sb-a", 1, 1, new ProcessId(4711, 99), new MachineSize(1, 512, 2048), halt);
  }

  @TempDir Path directory;
  private final List<JournalException> failures = new ArrayList<>();
  private Path file;

  @BeforeEach
  void place() {
    file = directory.resolve("journal");
  }

  @Test
  void whatWasAppendedIsThereAfterwards() {
    try (Journal journal = open()) {
      ENTRIES.forEach(journal::append);
      assertThat(journal.latest()).isEqualTo(latest(ENTRIES));
    }
    try (Journal journal = open()) {
      assertThat(journal.latest()).isEqualTo(latest(ENTRIES));
      journal.append(new Claimed("sb-c", 1, 3));
    }
    try (Journal journal = open()) {
      assertThat(journal.latest()).contains(new Claimed("sb-c", 1, 3));
    }
  }

  @Test
  void whatWasNotedIsReadLikeWhatWasAppended() throws IOException {
    byte[] appended = bytes();
    Files.delete(file);
    try (Journal journal = open()) {
      ENTRIES.forEach(journal::note);
      assertThat(journal.latest()).isEqualTo(latest(ENTRIES));
      // Before its close: a process that is killed closes nothing.
      assertThat(file).hasBinaryContent(appended);
    }
    try (Journal journal = open()) {
      assertThat(journal.latest()).isEqualTo(latest(ENTRIES));
    }
    assertThat(failures).isEmpty();
  }

  @Test
  void cutAtEveryByteItHoldsExactlyTheWholeEntries() throws IOException {
    byte[] whole = bytes();
    for (int cut = 0; cut <= whole.length; cut++) {
      byte[] left = Arrays.copyOf(whole, cut);
      Files.write(file, left);
      int entries = 0;
      for (byte b : left) {
        entries += b == '\n' ? 1 : 0;
      }
      try (Journal journal = open()) {
        assertThat(journal.latest())
            .as("cut at %d", cut)
            .isEqualTo(latest(ENTRIES.subList(0, entries)));
        journal.append(new Claimed("sb-z", 9, 9));
      }
      try (Journal journal = open()) {
        assertThat(journal.latest()).contains(new Claimed("sb-z", 9, 9));
      }
    }
  }

  @Test
  void aChangedByteIsNeverReadAsAnotherEntry() throws IOException {
    byte[] whole = bytes();
    int last = lastLine(whole);
    for (int at = 0; at < whole.length; at++) {
      byte[] damaged = whole.clone();
      damaged[at] ^= 1;
      Files.write(file, damaged);
      if (at >= last) {
        try (Journal journal = open()) {
          assertThat(journal.latest())
              .isEqualTo(latest(ENTRIES.subList(0, ENTRIES.size() - (at == last ? 2 : 1))));
        }
      } else {
        assertThatThrownBy(() -> open().close())
            .isInstanceOf(JournalException.class)
            .hasMessageContaining("damaged");
      }
    }
  }

  @Test
  void aSecondProcessIsKeptOut() {
    try (Journal journal = open()) {
      assertThatThrownBy(() -> open().close())
          .isInstanceOf(JournalException.class)
          .hasMessageContaining("in use");
      journal.append(new Claimed("sb-a", 1, 1));
    }
  }

  @Test
  void fencesAreBoundedAndTheLivingAreNeverForgotten() {
    try (Journal journal = open()) {
      journal.append(new Claimed("sb-living", 1, 1));
    }
    // Written in one go: a durable write each would take long.
    try {
      StringBuilder lines = new StringBuilder(Files.readString(file));
      for (int i = 0; i < FileJournal.FENCES + 5; i++) {
        lines.append(
            new String(
                JournalCodec.encode(new Ended("sb-" + i, 1, false)),
                java.nio.charset.StandardCharsets.UTF_8));
      }
      Files.writeString(file, lines);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    try (Journal journal = open()) {
      assertThat(journal.latest())
          .hasSize(FileJournal.FENCES)
          .contains(new Claimed("sb-living", 1, 1))
          .contains(new Ended("sb-" + (FileJournal.FENCES + 4), 1, false))
          .doesNotContain(new Ended("sb-0", 1, false));
    }
  }

  @Test
  void afterAFailedWriteItSaysWhyOnceAndTakesNothingUntilItIsReadAnew() {
    JournalEntry before = new Claimed("sb-a", 1, 1);
    JournalEntry after = new Claimed("sb-b", 1, 2);
    try (FileJournal journal = open()) {
      journal.append(before);
      assertThat(journal.failure()).isEmpty();

      // An interrupt closes the file under the writer: the write fails as on a broken disk.
      Thread.currentThread().interrupt();
      assertThatThrownBy(() -> journal.append(after)).isInstanceOf(JournalException.class);
      assertThat(Thread.interrupted()).isTrue();
      assertThatThrownBy(() -> journal.append(after)).isInstanceOf(JournalException.class);
      assertThatThrownBy(() -> journal.note(after)).isInstanceOf(JournalException.class);

      assertThat(journal.failure()).isPresent();
      assertThat(failures).hasSize(1);
    }
    try (FileJournal journal = open()) {
      assertThat(journal.latest()).contains(before);
      journal.append(after);
      assertThat(journal.failure()).isEmpty();
    }
  }

  private FileJournal open() {
    return FileJournal.open(file, failures::add);
  }

  private byte[] bytes() throws IOException {
    try (Journal journal = open()) {
      ENTRIES.forEach(journal::append);
    }
    return Files.readAllBytes(file);
  }

  private static int lastLine(byte[] bytes) {
    int at = bytes.length - 2;
    while (bytes[at] != '\n') {
      at--;
    }
    // The line feed before it: without that the two last lines are one, and bad.
    return at;
  }

  private static List<JournalEntry> latest(List<JournalEntry> entries) {
    SequencedMap<String, JournalEntry> latest = new LinkedHashMap<>();
    for (JournalEntry entry : entries) {
      latest.remove(entry.sandbox());
      latest.put(entry.sandbox(), entry);
    }
    return new ArrayList<>(latest.values());
  }
}
