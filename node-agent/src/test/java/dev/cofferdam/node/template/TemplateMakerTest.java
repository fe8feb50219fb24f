package dev.cofferdam.node.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.fake.Acts;
import dev.cofferdam.node.fake.FakeGuests;
import dev.cofferdam.node.fake.FakeHelper;
import dev.cofferdam.node.fake.FakeHypervisor;
import dev.cofferdam.node.fake.Kernel;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.slot.Occupants;
import dev.cofferdam.node.slot.SlotPool;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TemplateMakerTest {
  @TempDir Path directory;
  private final Kernel kernel = new Kernel();
  private final Acts acts = new Acts();
  private final FakeGuests guests = new FakeGuests(acts, kernel);
  private Image image;
  private TemplateMaker maker;

  @BeforeEach
  void open() throws IOException {
    image = new Image("0123456789abcdef", directory.resolve("image"), "quiet", List.of("true"), 64);
    Files.createDirectories(image.directory());
    SparseFile.create(image.disk(), 64L << 20).close();
    Path sandboxes = directory.resolve("sandboxes");
    FakeHelper helper =
        new FakeHelper(kernel, acts, sandboxes, start -> kernel.start(start.slot(), "", () -> {}));
    maker =
        new TemplateMaker(
            helper,
            new FakeHypervisor(kernel, acts, sandboxes, directory.resolve("templates")),
            // One slot is enough: the clone follows the machine that it is of.
            new SlotPool(helper, 1, 0, task -> {}, new Occupants(InstantSource.system())),
            new SandboxFiles(sandboxes, directory.resolve("tokens"), helper),
            guests,
            new TemplateStore(
                directory.resolve("templates"), InstantSource.system(), new Random(1)),
            InstantSource.system(),
            new Random(2),
            System::nanoTime);
  }

  @AfterEach
  void close() {
    guests.close();
  }

  @Test
  void aTemplateIsMadeOnceAndLeavesNothingBeside() throws IOException {
    Template made = make();
    assertThat(make()).isEqualTo(made);
    assertThat(acts.done()).containsOnlyOnce("machine.snapshot");
    assertNothingRuns();
  }

  @Test
  void oneWhoseProofFailsIsMadeAnewAndNotGivenAgain() throws IOException {
    Template bad = make();
    Files.setLastModifiedTime(
        bad.directory().resolve("template.json"), FileTime.from(Instant.EPOCH));
    failOnce();

    Template good = make();

    assertThat(good.name()).isNotEqualTo(bad.name());
    assertThat(make()).isEqualTo(good);
    // Another mesh may restore from it.
    assertThat(bad.directory()).isNotEmptyDirectory();
    assertNothingRuns();
  }

  @Test
  void oneThatWasNeverGoodIsTakenAwayAgain() throws IOException {
    acts.fail("guest.configure", TemplateMakerTest::silent);
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(this::make).isInstanceOf(GuestException.class);
    }

    assertThat(directory.resolve("templates")).isEmptyDirectory();
    assertNothingRuns();
  }

  @Test
  void whyItFailedIsNotHiddenByWhatCannotBeCleared() {
    acts.fail(
        "machine.start",
        () -> {
          acts.fail("slot.destroy", () -> new HelperException(HelperException.Code.FAILED, "busy"));
          return new MachineException("no memory");
        });

    assertThatThrownBy(this::make)
        .isInstanceOf(MachineException.class)
        .hasMessageContaining("no memory");
    assertThat(directory.resolve("sandboxes")).isEmptyDirectory();
  }

  private void failOnce() {
    acts.fail(
        "guest.configure",
        () -> {
          acts.heal();
          return silent();
        });
  }

  private static GuestException silent() {
    return new GuestException("no answer", new TimeoutException());
  }

  private Template make() throws IOException {
    return maker.make(image, 1, 128);
  }

  private void assertNothingRuns() {
    assertThat(kernel.running()).isEmpty();
    assertThat(kernel.slots()).isEmpty();
    assertThat(directory.resolve("sandboxes")).isEmptyDirectory();
  }
}
