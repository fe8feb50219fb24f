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
import dev.cofferdam.node.image.ImageMaker;
import dev.cofferdam.node.image.ImageStore;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.oci.ImageLimits;
import dev.cofferdam.node.oci.OciImage;
import dev.cofferdam.node.oci.RegistryClient;
import dev.cofferdam.node.oci.RegistryCredentials;
import dev.cofferdam.node.oci.RootMaker;
import dev.cofferdam.node.oci.TestImage;
import dev.cofferdam.node.oci.TestLayer;
import dev.cofferdam.node.slot.Occupants;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.template.TemplateOrder.ImageSource;
import dev.cofferdam.node.template.TemplateStatus.State;
import dev.cofferdam.testkit.SettableClock;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OrderedTemplatesTest {
  private static final String ID = "tp-aaaaaaaaaaaaaaaaaaaa";
  private static final String BASE = "0123456789abcdef";
  private static final MachineSize SIZE = new MachineSize(1, 128, 64);
  private static final Duration LONG = Duration.ofSeconds(60);

  @TempDir Path directory;
  private final Kernel kernel = new Kernel();
  private final Acts acts = new Acts();
  private final FakeGuests guests = new FakeGuests(acts, kernel);
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final SettableClock clock = new SettableClock(Instant.parse("2026-01-01T00:00:00Z"));
  private final RegistryClient registries =
      new RegistryClient(List.of(), () -> RegistryCredentials.NONE, 1 << 20, LONG, executor);
  private Path files;
  private OrderedTemplates templates;

  /** What comes of a build. */
  private volatile ImageSources.Builds builds =
      built -> OciImage.open(files.resolve(built.steps().getFirst()));

  @BeforeEach
  void open() throws IOException {
    files = Files.createDirectory(directory.resolve("files"));
    Files.createDirectory(directory.resolve("kernels"));
    Path base = Files.createDirectories(directory.resolve("images").resolve(BASE));
    for (String part : new String[] {"vmlinuz", "initrd", "rootfs.erofs"}) {
      Files.writeString(base.resolve(part), part);
    }
    Files.writeString(base.resolve("manifest.json"), "{}");
    format(base.resolve("disk.ext4"), 64);
    new TestImage().layer(new TestLayer().file("data", "1")).dockerSave(files.resolve("small.tar"));
    templates = process();
  }

  @AfterEach
  void close() {
    registries.close();
    executor.shutdownNow();
    guests.close();
  }

  @Test
  void aTemplateOfAFileIsMadeAndCanBeStarted() {
    TemplateStatus status = templates.make(order(ID, "small.tar"), LONG);

    assertThat(status.state()).as(status.message()).isEqualTo(State.READY);
    assertThat(status.digest()).matches("sha256:[0-9a-f]{64}");
    assertThat(templates.ready()).containsExactly(ID);
    Template template = templates.require(ID);
    assertThat(template.size()).isEqualTo(SIZE);
    assertThat(template.image().directory().resolve("rootfs.squashfs")).exists();
    assertThat(kernel.running()).isEmpty();
    // Asked again it is the same one.
    assertThat(templates.make(order(ID, "small.tar"), LONG)).isEqualTo(status);
    assertThat(acts.done()).containsOnlyOnce("machine.snapshot");
  }

  @Test
  void theSameContentIsBootedOnce() {
    templates.make(order(ID, "small.tar"), LONG);
    String other = "tp-bbbbbbbbbbbbbbbbbbbb";
    assertThat(templates.make(order(other, "small.tar"), LONG).state()).isEqualTo(State.READY);

    assertThat(templates.require(other)).isEqualTo(templates.require(ID));
    assertThat(acts.done()).containsOnlyOnce("machine.snapshot");
  }

  @Test
  void whatIsNoImageFailsWithItsReasonAndStaysSo() throws IOException {
    Files.writeString(files.resolve("text"), "no image".repeat(200));
    TemplateStatus status = templates.make(order(ID, "text"), LONG);
    assertThat(status.state()).isEqualTo(State.FAILED);
    assertThat(status.message()).isNotEmpty();
    assertThatThrownBy(() -> templates.require(ID))
        .isInstanceOf(Refusal.class)
        .hasMessageContaining(status.message());

    OrderedTemplates next = process();
    next.resume();
    assertThat(next.make(order(ID, "text"), LONG)).isEqualTo(status);
  }

  @Test
  void aNameLeadsNowhereElse() throws IOException {
    Files.move(files.resolve("small.tar"), directory.resolve("outside.tar"));
    int count = 0;
    for (String name :
        new String[] {"../outside.tar", "..", ".", "", "/etc/passwd", "a/../../outside.tar"}) {
      String id = "tp-cccccccccccccccccc" + "abcdefgh".charAt(count) + "a";
      count++;
      TemplateStatus status = templates.make(order(id, name), LONG);
      assertThat(status.state()).as(name).isEqualTo(State.FAILED);
      assertThat(status.message()).contains("expected a name");
    }
    TemplateOrder kernel =
        new TemplateOrder(ID, new ImageSource.File("small.tar"), "../images/" + BASE, SIZE, "acme");
    assertThat(templates.make(kernel, LONG).state()).isEqualTo(State.FAILED);
    assertThatThrownBy(() -> order("tp-../../../../../../../..", "small.tar"))
        .isInstanceOf(Refusal.class);
  }

  @Test
  void aRegistryThatNobodyAllowedIsNotAsked() {
    TemplateStatus status =
        templates.make(
            new TemplateOrder(
                ID, new ImageSource.Registry("169.254.169.254/latest"), "", SIZE, "acme"),
            LONG);
    assertThat(status.state()).isEqualTo(State.FAILED);
    assertThat(status.message()).contains("169.254.169.254 is not one of those allowed");
  }

  @Test
  void aBootThatFailsIsToldAndLeavesNothingRunning() {
    acts.fail("machine.start", () -> new MachineException("no memory"));
    TemplateStatus status = templates.make(order(ID, "small.tar"), LONG);

    assertThat(status.state()).isEqualTo(State.FAILED);
    assertThat(status.message()).contains("no memory");
    assertThat(kernel.running()).isEmpty();
  }

  @Test
  void theNextProcessHasWhatThisOneMade() throws IOException {
    TemplateStatus status = templates.make(order(ID, "small.tar"), LONG);
    Files.delete(files.resolve("small.tar"));

    OrderedTemplates next = process();
    assertThatThrownBy(() -> next.require(ID))
        .isInstanceOfSatisfying(
            Refusal.class,
            refusal ->
                assertThat(refusal.reason()).isEqualTo(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE));
    next.resume();
    assertThat(next.make(order(ID, "small.tar"), LONG)).isEqualTo(status);
    assertThat(next.require(ID)).isEqualTo(templates.require(ID));
    assertThat(acts.done()).containsOnlyOnce("machine.snapshot");
  }

  @Test
  void whatWasBegunIsFinishedByTheNextProcess() throws IOException {
    // Its executor dies with it, before anything was done.
    OrderedTemplates dead = process(task -> {});
    assertThat(dead.make(order(ID, "small.tar"), Duration.ZERO).state()).isEqualTo(State.MAKING);

    OrderedTemplates next = process();
    next.resume();
    assertThat(next.make(order(ID, "small.tar"), LONG).state()).isEqualTo(State.READY);
  }

  @Test
  void whatWasBuiltIsATemplateAndIsNotBuiltTwice() throws IOException {
    AtomicInteger count = new AtomicInteger();
    ImageSources.Builds once = builds;
    builds =
        built -> {
          count.incrementAndGet();
          return once.build(built);
        };
    TemplateStatus status = templates.make(build(ID, "small.tar"), LONG);
    assertThat(status.state()).as(status.message()).isEqualTo(State.READY);
    assertThat(templates.make(build(ID, "small.tar"), LONG)).isEqualTo(status);
    assertThatThrownBy(() -> templates.make(build(ID, "other"), LONG)).isInstanceOf(Refusal.class);

    OrderedTemplates next = process();
    next.resume();
    assertThat(next.make(build(ID, "small.tar"), LONG)).isEqualTo(status);
    assertThat(count).hasValue(1);
  }

  @Test
  void whatWasBeingBuiltWhenAProcessDiedIsNotBegunAgain() throws IOException {
    OrderedTemplates dead = process(task -> {});
    assertThat(dead.make(build(ID, "small.tar"), Duration.ZERO).state()).isEqualTo(State.MAKING);
    builds =
        built -> {
          throw new AssertionError("built twice");
        };
    OrderedTemplates next = process();
    next.resume();
    TemplateStatus status = next.make(build(ID, "small.tar"), LONG);
    assertThat(status.state()).isEqualTo(State.FAILED);
    assertThat(status.message()).isEqualTo("the node stopped while it was being built");
  }

  @Test
  void aBuildThatTakesLongKeepsNobodyElseWaiting() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch release = new CountDownLatch(1);
    builds =
        built -> {
          begun.countDown();
          try {
            release.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          throw new IOException("step 1 ended with 3: " + "x".repeat(1024));
        };
    assertThat(templates.make(build(ID, "small.tar"), Duration.ZERO).state())
        .isEqualTo(State.MAKING);
    assertThat(begun.await(60, TimeUnit.SECONDS)).isTrue();
    String other = "tp-bbbbbbbbbbbbbbbbbbbb";
    assertThat(templates.make(order(other, "small.tar"), LONG).state()).isEqualTo(State.READY);

    release.countDown();
    TemplateStatus failed = templates.make(build(ID, "small.tar"), LONG);
    assertThat(failed.state()).isEqualTo(State.FAILED);
    assertThat(failed.message()).startsWith("step 1 ended with 3: x").hasSize(21 + 1024);
  }

  @Test
  void anIdIsOneOrderForEver() {
    templates.make(order(ID, "small.tar"), LONG);
    assertThatThrownBy(() -> templates.make(order(ID, "other.tar"), LONG))
        .isInstanceOf(Refusal.class);
  }

  @Test
  void anImageGoesOnceNothingHasReferredToItForAWhile() throws IOException {
    // Made by this thread: a sweep that meets a making leaves everything as it is.
    OrderedTemplates templates = process(Runnable::run);
    templates.make(order(ID, "small.tar"), LONG);
    Template template = templates.require(ID);
    templates.remove(ID);
    templates.remove(ID);
    assertThat(templates.ready()).isEmpty();
    assertThatThrownBy(() -> templates.require(ID)).isInstanceOf(Refusal.class);

    // A start that is under way is on no record yet.
    templates.sweep(Set::of);
    assertThat(template.image().directory()).exists();
    clock.advance(Duration.ofHours(1));
    templates.sweep(() -> Set.of(template.image().digest()));
    assertThat(template.image().directory()).exists();
    templates.sweep(Set::of);
    clock.advance(Duration.ofHours(1));
    templates.sweep(() -> {
      throw new IOException("unreadable");
    });
    assertThat(template.image().directory()).exists();

    templates.sweep(Set::of);
    assertThat(template.image().directory()).doesNotExist();
    assertThat(template.directory()).doesNotExist();
    assertThat(acts.done()).contains("template.forget");
    assertThat(directory.resolve("images").resolve(BASE)).exists();
  }

  private OrderedTemplates process() throws IOException {
    return process(executor);
  }

  private OrderedTemplates process(java.util.concurrent.Executor tasks) throws IOException {
    Path sandboxes = directory.resolve("sandboxes");
    FakeHelper helper =
        new FakeHelper(kernel, acts, sandboxes, start -> kernel.start(start.slot(), "", () -> {}));
    TemplateStore store =
        new TemplateStore(directory.resolve("templates"), InstantSource.system(), new Random(1));
    return new OrderedTemplates(
        directory.resolve("records"),
        new ImageSources(
            files,
            directory.resolve("kernels"),
            registries,
            built -> builds.build(built),
            new ImageStore(directory.resolve("images")),
            BASE),
        new ImageMaker(
            directory.resolve("made"),
            new RootMaker(ImageLimits.DEFAULT),
            OrderedTemplatesTest::format),
        new TemplateMaker(
            helper,
            new FakeHypervisor(kernel, acts, sandboxes, directory.resolve("templates")),
            new SlotPool(helper, 1, 0, task -> {}, new Occupants(InstantSource.system())),
            new SandboxFiles(sandboxes, directory.resolve("tokens"), helper),
            guests,
            store,
            InstantSource.system(),
            new Random(2),
            System::nanoTime),
        () -> {},
        clock,
        tasks);
  }

  private static TemplateOrder build(String id, String step) {
    return new TemplateOrder(
        id,
        new ImageSource.Built("sb-1", List.of("deb a b"), List.of("g++"), List.of(step)),
        "",
        SIZE,
        "acme");
  }

  private static TemplateOrder order(String id, String file) {
    return new TemplateOrder(id, new ImageSource.File(file), "", SIZE, "acme");
  }

  private static void format(Path file, int sizeMib) throws IOException {
    SparseFile.create(file, (long) sizeMib << 20).close();
  }
}
