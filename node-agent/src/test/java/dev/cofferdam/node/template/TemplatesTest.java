package dev.cofferdam.node.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.fake.Acts;
import dev.cofferdam.node.fake.FakeGuests;
import dev.cofferdam.node.fake.FakeHelper;
import dev.cofferdam.node.fake.FakeHypervisor;
import dev.cofferdam.node.fake.Kernel;
import dev.cofferdam.node.image.ImageStore;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.slot.Occupants;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TemplatesTest {
  private static final String IMAGE = "0123456789abcdef";
  private static final PreparedSize FIRST = new PreparedSize(1, 128);
  private static final PreparedSize TWICE = new PreparedSize(2, 256);
  private static final PreparedSize LARGE = new PreparedSize(1, 1024);

  @TempDir Path directory;
  private final Kernel kernel = new Kernel();
  private final Acts acts = new Acts();
  private final FakeGuests guests = new FakeGuests(acts, kernel);
  private Templates templates;

  @BeforeEach
  void open() throws IOException {
    Path image = Files.createDirectories(directory.resolve("images").resolve(IMAGE));
    SparseFile.create(image.resolve("disk.ext4"), 64L << 20).close();
    for (String part : List.of("vmlinuz", "initrd", "rootfs.erofs")) {
      Files.createFile(image.resolve(part));
    }
    Files.writeString(image.resolve("manifest.json"), "{\"cmdline\": \"quiet\"}");
    templates = templates(TWICE, LARGE);
  }

  @AfterEach
  void close() {
    guests.close();
  }

  @Test
  void everyTemplateIsReadyInItsFirstSizeBeforeAFurtherOneIsMade() {
    assertThat(templates.prepare()).isTrue();
    assertThat(templates.ready()).containsExactly("a", "b");
    assertThat(names()).containsExactly("a", "b");
    assertThat(acts.done()).filteredOn("machine.snapshot"::equals).hasSize(1);
    assertThat(sizeFor(TWICE)).as("it is booted until its own is ready").isEqualTo(FIRST);

    assertThat(templates.prepareFurther(() -> {})).isTrue();
    // Both are of one image, so one making serves both.
    assertThat(acts.done()).filteredOn("machine.snapshot"::equals).hasSize(3);
    assertThat(names()).containsExactly("a", "b", "a 2x256", "b 2x256", "a 1x1024", "b 1x1024");
    assertThat(templates.ready()).as("to the scheduler").containsExactly("a", "b");
    assertThat(sizeFor(FIRST)).isEqualTo(FIRST);
    assertThat(sizeFor(TWICE)).isEqualTo(TWICE);
    assertThat(sizeFor(LARGE)).isEqualTo(LARGE);
    assertThat(sizeFor(new PreparedSize(2, 1024))).as("none is prepared").isEqualTo(FIRST);
  }

  private List<String> names() {
    return templates.offers().stream()
        .map(offer -> {
          MachineSize size = offer.template().size();
          boolean first = size.vcpus() == FIRST.vcpus() && size.memoryMib() == FIRST.memoryMib();
          return offer.name() + (first ? "" : " " + size.vcpus() + "x" + size.memoryMib());
        })
        .toList();
  }

  @Test
  void aNodeThatIsStartedAnewFindsAllOfThemOnDisk() throws IOException {
    templates.prepare();
    templates.prepareFurther(() -> {});
    Templates again = templates(TWICE, LARGE);
    int made = acts.done().size();
    assertThat(again.prepare() && again.prepareFurther(() -> {})).isTrue();
    assertThat(acts.done().subList(made, acts.done().size())).doesNotContain("machine.snapshot");
    assertThat(again.offers()).isEqualTo(templates.offers());
  }

  @Test
  void oneThatCannotBePreparedKeepsNeitherTheNodeNorOthersAndIsTriedAgain() {
    templates.prepare();
    acts.fail(
        "machine.snapshot",
        () -> {
          acts.heal();
          return new MachineException("no room");
        });
    assertThat(templates.prepareFurther(() -> {})).isFalse();
    assertThat(templates.notReady()).isEmpty();
    assertThat(sizeFor(TWICE)).as("of the other name, made after the failure").isEqualTo(FIRST);
    assertThat(sizeFor(LARGE)).isEqualTo(LARGE);
    assertThat(templates.prepareFurther(() -> {})).isTrue();
    assertThat(sizeFor(TWICE)).isEqualTo(TWICE);
  }

  @Test
  void aHostWithoutRoomBootsNoneNow() {
    templates.prepare();
    int before = acts.done().size();
    assertThat(
            templates.prepareFurther(() -> {
              throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "the host is short");
            }))
        .isFalse();
    assertThat(acts.done()).hasSize(before);
  }

  @Test
  void aNameThatIsNoneIsRefusedInAnySize() {
    templates.prepare();
    for (int memory : List.of(128, 1 << 20)) {
      assertThatThrownBy(() -> templates.require("c", new MachineSize(1, memory, 64)))
          .isInstanceOfSatisfying(
              Refusal.class,
              refusal ->
                  assertThat(refusal.reason())
                      .isEqualTo(ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND));
    }
  }

  private PreparedSize sizeFor(PreparedSize wanted) {
    return PreparedSize.of(
        templates.require("a", new MachineSize(wanted.vcpus(), wanted.memoryMib(), 100)).size());
  }

  private Templates templates(PreparedSize... further) {
    Path sandboxes = directory.resolve("sandboxes");
    FakeHelper helper =
        new FakeHelper(kernel, acts, sandboxes, start -> kernel.start(start.slot(), "", () -> {}));
    return new Templates(
        Map.of("b", IMAGE, "a", IMAGE),
        new ImageStore(directory.resolve("images")),
        new TemplateMaker(
            helper,
            new FakeHypervisor(kernel, acts, sandboxes, directory.resolve("templates")),
            new SlotPool(helper, 1, 0, task -> {}, new Occupants(InstantSource.system())),
            new SandboxFiles(sandboxes, directory.resolve("tokens"), helper),
            guests,
            new TemplateStore(
                directory.resolve("templates"), InstantSource.system(), new Random(1)),
            InstantSource.system(),
            new Random(2),
            System::nanoTime),
        FIRST,
        List.of(further));
  }
}
