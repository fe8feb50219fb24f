package dev.cofferdam.gateway.event;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class EventSpoolTest {
  @TempDir Path directory;

  private EventSpool open() {
    return new EventSpool(directory, 4, "fresh");
  }

  private static void add(EventSpool spool, String... paths) {
    for (String path : paths) {
      spool.add("default", AuditEvent.newBuilder().setPath(path).build());
    }
  }

  private static List<String> paths(EventSpool spool, long after) throws InterruptedException {
    return spool.after(after, 0).stream()
        .map(entry -> entry.getNumber() + entry.getEvent().getPath())
        .toList();
  }

  @Test
  void whatWasNotAcknowledgedOutlivesTheProcess() throws Exception {
    try (EventSpool spool = open()) {
      add(spool, "/a", "/b", "/c");
      spool.acknowledge(1);
    }
    try (EventSpool spool = open()) {
      assertThat(paths(spool, 0)).containsExactly("2/b", "3/c");
      add(spool, "/d");
      assertThat(paths(spool, 3)).containsExactly("4/d");
      assertThat(spool.name()).isEqualTo("fresh");
    }
  }

  @Test
  void asManyAreTakenAtATimeAsAMessageMayHold() throws Exception {
    try (EventSpool spool = new EventSpool(directory, 100, "fresh")) {
      for (int i = 0; i < 100; i++) {
        add(spool, "/ten/kilobytes".repeat(731));
      }
      long seen = 0;
      int turns = 0;
      while (seen < 100) {
        List<ReportDecisionsRequest> some = spool.after(seen, 0);
        assertThat(some.getFirst().getNumber()).isEqualTo(seen + 1);
        assertThat(some.stream().mapToLong(ReportDecisionsRequest::getSerializedSize).sum())
            .isLessThan(1 << 20);
        seen = some.getLast().getNumber();
        turns++;
      }
      assertThat(turns).isEqualTo(2);
    }
  }

  @Test
  void numbersGoOnAfterEverythingWasAcknowledgedAndTheFileWasRewritten() throws Exception {
    try (EventSpool spool = open()) {
      for (int i = 0; i < 4500; i++) {
        add(spool, "/a/kilobyte/that/makes/the/file/grow".repeat(28));
        spool.acknowledge(i + 1);
      }
      assertThat(Files.size(directory.resolve("events"))).isLessThan(1 << 20);
    }
    try (EventSpool spool = open()) {
      add(spool, "/next");
      assertThat(spool.after(4500, 0).getLast().getNumber()).isEqualTo(4501);
    }
  }

  @Test
  void aFullSpoolSaysSoAndLeavesAHoleInTheNumbers() throws Exception {
    try (EventSpool spool = open()) {
      add(spool, "/1", "/2", "/3");
      assertThat(spool.full()).isFalse();
      add(spool, "/4", "/lost");
      assertThat(spool.full()).isTrue();

      spool.acknowledge(4);
      add(spool, "/6");

      assertThat(spool.full()).isFalse();
      assertThat(paths(spool, 0)).containsExactly("6/6");
    }
  }

  @Test
  void theHoleOfAFullSpoolOutlivesTheProcess() throws Exception {
    try (EventSpool spool = open()) {
      add(spool, "/1", "/2", "/3", "/4", "/lost", "/lost");
    }
    try (EventSpool spool = open()) {
      spool.acknowledge(4);
      add(spool, "/7");
      assertThat(paths(spool, 0)).containsExactly("7/7");
    }
  }

  @Test
  void aFileThatCannotBeWrittenAnewStaysInUse() throws Exception {
    Path inTheWay = directory.resolve("events.new");
    try (EventSpool spool = new EventSpool(directory, 1000, "fresh")) {
      add(spool, "/a/path/that/is/long/enough".repeat(200));
      Files.createDirectories(inTheWay.resolve("x"));
      spool.acknowledge(1);
      add(spool, "/kept");
      Files.delete(inTheWay.resolve("x"));
      Files.delete(inTheWay);
    }
    try (EventSpool spool = new EventSpool(directory, 1000, "fresh")) {
      assertThat(paths(spool, 0)).containsExactly("2/kept");
    }
  }

  @Test
  void whatCouldNotBeWrittenCountsAsLostUntilItWas() throws Exception {
    AtomicBoolean diskFull = new AtomicBoolean();
    EventSpool.Opener opener =
        file -> {
          WritableByteChannel real =
              Files.newByteChannel(file, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
          return new WritableByteChannel() {
            @Override
            public int write(ByteBuffer bytes) throws IOException {
              if (diskFull.get()) {
                // A part of it, as a real disk takes what still fits.
                real.write(bytes.limit(bytes.position() + 2));
                throw new IOException("No space left on device");
              }
              return real.write(bytes);
            }

            @Override
            public boolean isOpen() {
              return real.isOpen();
            }

            @Override
            public void close() throws IOException {
              real.close();
            }
          };
        };
    try (EventSpool spool = new EventSpool(directory, 100, "fresh", opener)) {
      add(spool, "/1");
      diskFull.set(true);
      add(spool, "/2");
      assertThat(spool.full()).isTrue();
      diskFull.set(false);
      add(spool, "/3");
      assertThat(spool.full()).isTrue();
      spool.mend();
      assertThat(spool.full()).isFalse();
      add(spool, "/4");
    }
    try (EventSpool spool = open()) {
      assertThat(paths(spool, 0)).containsExactly("1/1", "2/2", "3/3", "4/4");
    }
  }

  @Test
  void theFileIsWrittenAnewOnlyWhereMostOfItWasAcknowledged() throws Exception {
    AtomicInteger written = new AtomicInteger();
    EventSpool.Opener counting =
        file -> {
          written.incrementAndGet();
          return Files.newByteChannel(file, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        };
    int events = 6000;
    try (EventSpool spool = new EventSpool(directory, events, "fresh", counting)) {
      for (int i = 0; i < events; i++) {
        add(spool, "/two/kilobytes/".repeat(137));
      }
      for (int i = 1; i < events; i++) {
        spool.acknowledge(i);
      }
      // 12 MiB in all: at half, and once more at 4 MiB of the rest.
      assertThat(written.get()).isBetween(2, 3);
      assertThat(Files.size(directory.resolve("events"))).isLessThan(5 << 20);
    }
  }

  @Test
  void aWriteThatWasCutOffCostsOnlyItself() throws Exception {
    try (EventSpool spool = open()) {
      add(spool, "/a", "/b");
    }
    Path file = directory.resolve("events");
    byte[] bytes = Files.readAllBytes(file);
    Files.write(
        file,
        java.util.Arrays.copyOf(bytes, bytes.length - 2),
        StandardOpenOption.TRUNCATE_EXISTING);
    try (EventSpool spool = open()) {
      assertThat(paths(spool, 0)).containsExactly("1/a");
      add(spool, "/c");
      assertThat(spool.after(1, 0))
          .extracting(ReportDecisionsRequest::getNumber)
          .containsExactly(3L);
    }
  }

  @Test
  void refusalsThatRepeatWithinASecondAreCounted() throws Exception {
    AtomicReference<Instant> now = new AtomicReference<>(Instant.EPOCH);
    try (EventSpool spool = open()) {
      Decisions decisions = new Decisions(spool, now::get, new SimpleMeterRegistry());
      for (int i = 0; i < 100; i++) {
        decisions.record(
            "default",
            AuditEvent.newBuilder()
                .setSandbox("sb-1")
                .setProtocol("dns")
                .setHost("evil.test")
                .setVerdict(Verdict.VERDICT_DENIED)
                .setReason(EgressReason.EGRESS_REASON_NAME_NOT_ALLOWED));
      }
      now.set(Instant.EPOCH.plusSeconds(2));
      decisions.flush();

      assertThat(spool.after(0, 0))
          .extracting(entry -> entry.getEvent().getCount())
          .containsExactly(1L, 99L);
    }
  }

  private static AuditEvent.Builder refused(String sandbox, String host) {
    return AuditEvent.newBuilder()
        .setSandbox(sandbox)
        .setProtocol("dns")
        .setHost(host)
        .setVerdict(Verdict.VERDICT_DENIED)
        .setReason(EgressReason.EGRESS_REASON_NAME_NOT_ALLOWED);
  }

  @Test
  void oneGuestThatTriesNamesWithoutEndFillsNobodysSpool() throws Exception {
    AtomicReference<Instant> now = new AtomicReference<>(Instant.EPOCH);
    int names = 50_000;
    try (EventSpool spool = new EventSpool(directory, 1000, "fresh")) {
      Decisions decisions = new Decisions(spool, now::get, new SimpleMeterRegistry());
      for (int i = 0; i < names; i++) {
        // A thousand names a second.
        now.set(Instant.EPOCH.plusMillis(i));
        decisions.record("default", refused("sb-1", "n" + i + ".test"));
      }
      decisions.record("default", refused("sb-2", "evil.test"));
      now.set(Instant.EPOCH.plusSeconds(60));
      decisions.flush();

      assertThat(decisions.full()).isFalse();
      List<AuditEvent> events =
          spool.after(0, 0).stream().map(ReportDecisionsRequest::getEvent).toList();
      assertThat(events).hasSize(Decisions.MAX_APART + 2);
      AuditEvent sum = events.getLast();
      assertThat(sum.getSandbox()).isEqualTo("sb-1");
      assertThat(sum.getHost()).isEmpty();
      assertThat(sum.getReason()).isEqualTo(EgressReason.EGRESS_REASON_NAME_NOT_ALLOWED);
      assertThat(sum.getCount()).isEqualTo(names - Decisions.MAX_APART);
      assertThat(events).extracting(AuditEvent::getHost).contains("n0.test", "evil.test");

      decisions.record("default", refused("sb-1", "later.test"));
      assertThat(spool.after(0, 0).getLast().getEvent().getHost()).isEqualTo("later.test");
    }
  }

  @Test
  void whatWasOnlyCountedIsToldAtTheEnd() throws Exception {
    try (EventSpool spool = new EventSpool(directory, 1000, "fresh")) {
      Decisions decisions = new Decisions(spool, () -> Instant.EPOCH, new SimpleMeterRegistry());
      for (int i = 0; i <= Decisions.MAX_APART; i++) {
        decisions.record("default", refused("sb-1", "n" + i + ".test"));
      }
      decisions.record("default", refused("sb-1", "n0.test"));
      decisions.finish();

      assertThat(spool.after(Decisions.MAX_APART, 0))
          .extracting(entry -> entry.getEvent().getHost())
          .containsExactly("", "n0.test");
    }
  }

  @Test
  void whatAGuestWroteIsBoundedPrintableAndWithoutPlaceholders() throws Exception {
    String placeholder = "cofferdam_" + "A".repeat(43);
    try (EventSpool spool = open()) {
      Decisions decisions = new Decisions(spool, () -> Instant.EPOCH, new SimpleMeterRegistry());
      decisions.record(
          "default",
          AuditEvent.newBuilder()
              .setHost("a\0b\n" + "c".repeat(1000))
              .setPath("/x/" + placeholder + "/" + placeholder.replace("_", "%255F"))
              .setMessage("m".repeat(1000)));

      AuditEvent event = spool.after(0, 0).getFirst().getEvent();
      assertThat(event.getHost()).startsWith("a?b?c").hasSize(253);
      assertThat(event.getPath()).isEqualTo("/x/[placeholder]/[placeholder]");
      assertThat(event.getMessage()).hasSize(512);
    }
  }
}
