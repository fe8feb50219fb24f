package dev.cofferdam.node.template;

import dev.cofferdam.kit.call.RandomLetters;
import dev.cofferdam.node.disk.Extent;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestConnector;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.guest.GuestIdentity;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.slot.Slot;
import dev.cofferdam.node.slot.SlotPool;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.LongSupplier;
import java.util.random.RandomGenerator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes a template out of an image: boots it once in a slot of its own, lets the guest ready
 * itself, and keeps what memory, devices and disk are then. Nothing of a tenant is in it, and its
 * guest was never configured.
 */
public final class TemplateMaker {
  private static final Logger log = LoggerFactory.getLogger(TemplateMaker.class);
  private static final Duration BOOT = Duration.ofMinutes(3);
  private static final Duration PROOF = Duration.ofSeconds(30);

  /** Rises whenever templates are made in another way. */
  private static final String FORM = "3";

  private final NodeHelper helper;
  private final Hypervisor hypervisor;
  private final SlotPool slots;
  private final SandboxFiles files;
  private final GuestConnector guests;
  private final TemplateStore store;
  private final InstantSource clock;
  private final RandomGenerator random;
  private final LongSupplier nanos;

  public TemplateMaker(
      NodeHelper helper,
      Hypervisor hypervisor,
      SlotPool slots,
      SandboxFiles files,
      GuestConnector guests,
      TemplateStore store,
      InstantSource clock,
      RandomGenerator random,
      LongSupplier nanos) {
    this.helper = helper;
    this.hypervisor = hypervisor;
    this.slots = slots;
    this.files = files;
    this.guests = guests;
    this.store = store;
    this.clock = clock;
    this.random = random;
    this.nanos = nanos;
  }

  /**
   * The template for an image at that size, from disk where one is there and good. A clone of it
   * has answered on return, so that the first sandbox finds it loaded and everything warm.
   */
  public Template make(Image image, int vcpus, int memoryMib) throws IOException {
    MachineSize size = new MachineSize(vcpus, memoryMib, image.diskMib());
    String digest = digest(image, size);
    Set<String> refused = new TreeSet<>();
    while (true) {
      Optional<Template> found = store.find(digest, image, size, refused);
      if (found.isEmpty()) {
        return built(digest, image, size, refused);
      }
      try {
        return proven(found.get());
      } catch (MachineException | GuestException e) {
        // It stays: another mesh may restore from it, and the time may have been too short alone.
        refused.add(found.get().name());
        log.atWarn()
            .setMessage("template_broken")
            .addKeyValue("template", found.get().name())
            .setCause(e)
            .log();
      }
    }
  }

  /**
   * Takes away all that was made of an image. Only of one that nothing is started from any more.
   */
  void removeOf(String image) throws IOException {
    store.removeOf(image, helper::forgetTemplate);
  }

  /** Proven before anybody else finds it, so that one that is no good can be taken away again. */
  private Template built(String digest, Image image, MachineSize size, Set<String> refused)
      throws IOException {
    Template staged = build(digest, image, size);
    try {
      var _ = proven(staged);
    } catch (IOException | RuntimeException e) {
      try {
        store.discard(staged);
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      throw e;
    }
    Template published = store.publish(digest, staged, refused);
    return published.name().equals(staged.name()) ? published : proven(published);
  }

  private Template build(String digest, Image image, MachineSize size) throws IOException {
    Steps steps = new Steps(nanos);
    Template template =
        inSlot((sandbox, slot) -> {
          Path directory = files.create(sandbox);
          copyDisk(image.disk(), SparseFile.extents(image.disk()), directory);
          helper.prepareSandbox(slot.number(), sandbox, List.of(MachineSpec.DISK));
          Machine machine = hypervisor.boot(spec(sandbox, slot, image, size), steps);
          try {
            machine.resume();
            ready(slot, image, steps);
            machine.pause();
            steps.time("snapshot", () -> machine.snapshot(directory));
          } finally {
            // Its files are still: what is copied next cannot change under the copy.
            machine.stop();
          }
          return store.stage(digest, image, size, directory);
        });
    steps.reached("total");
    log.atInfo()
        .setMessage("template_made")
        .addKeyValue("template", template.name())
        .addKeyValue("image", image.digest())
        .addKeyValue("steps_ms", steps.millis())
        .log();
    return template;
  }

  /** A clone that is thrown away again. */
  private Template proven(Template template) throws IOException {
    helper.loadTemplate(template.name());
    return inSlot((sandbox, slot) -> {
      Path directory = files.create(sandbox);
      copyDisk(template.disk(), template.diskExtents(), directory);
      helper.prepareSandbox(slot.number(), sandbox, List.of(MachineSpec.DISK));
      Machine machine =
          hypervisor.restore(
              spec(sandbox, slot, template.image(), template.size()),
              template.name(),
              new Steps(nanos));
      try (Guest guest = guests.connect(slot.link())) {
        machine.resume();
        guest.configure(GuestIdentity.fresh(random, clock.instant(), sandbox, Map.of(), ""), PROOF);
      } finally {
        machine.stop();
      }
      return template;
    });
  }

  /** What is done to a machine in a slot of its own, of which nothing is left afterwards. */
  @FunctionalInterface
  private interface Work {
    Template run(String sandbox, Slot slot) throws IOException;
  }

  private Template inSlot(Work work) throws IOException {
    String sandbox = name();
    Slot slot =
        slots.claim().orElseThrow(() -> new MachineException("no slot is free for a template"));
    try {
      return work.run(sandbox, slot);
    } finally {
      clear(sandbox, slot.number());
    }
  }

  /**
   * What is left is no reason to lose a template, nor to hide why it failed: the pool holds the
   * slot back and tries again, and files without a sandbox are removed at the next start.
   */
  private void clear(String sandbox, int slot) {
    try {
      slots.release(slot);
    } catch (HelperException e) {
      log.atWarn().setMessage("slot_not_released").addKeyValue("slot", slot).setCause(e).log();
    }
    try {
      files.delete(sandbox);
    } catch (IOException | HelperException e) {
      log.atWarn().setMessage("files_not_deleted").addKeyValue("name", sandbox).setCause(e).log();
    }
  }

  private static MachineSpec spec(String sandbox, Slot slot, Image image, MachineSize size) {
    return new MachineSpec(sandbox, slot.number(), image.digest(), size, image.kernelArguments());
  }

  private void ready(Slot slot, Image image, Steps steps) {
    try (Guest guest = guests.connect(slot.link())) {
      steps.time("boot", () -> guest.prepareSnapshot(image.warmUp(), BOOT));
    }
  }

  private static void copyDisk(Path source, List<Extent> extents, Path directory)
      throws IOException {
    Path disk = directory.resolve(MachineSpec.DISK);
    try (FileChannel channel = SparseFile.create(disk, Files.size(source))) {
      SparseFile.copy(source, extents, channel);
    }
  }

  private String digest(Image image, MachineSize size) {
    // Neither sandbox nor slot leaves a trace in a machine's arguments.
    MachineSpec spec = new MachineSpec("", 1, image.digest(), size, image.kernelArguments());
    String inputs =
        String.join(
            "\n",
            FORM,
            image.digest(),
            size.toString(),
            String.join("\n", image.warmUp()),
            hypervisor.name(),
            hypervisor.fingerprint(spec));
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-256").digest(inputs.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(hash);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /** As a sandbox's, so that all that is keyed by one works. */
  private String name() {
    return "sb-" + RandomLetters.next(20, random);
  }
}
