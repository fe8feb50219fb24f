package dev.cofferdam.node.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.disk.CpCopier;
import dev.cofferdam.node.disk.SparseFile;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What every hypervisor does alike. */
public abstract class HypervisorContract {
  protected static final String A = "sb-aaaaaaaaaaaaaaaaaaaa";
  protected static final String B = "sb-bbbbbbbbbbbbbbbbbbbb";
  protected static final MachineSize SIZE = new MachineSize(1, 128, 64);
  private static final String C = "sb-cccccccccccccccccccc";
  private static final int SMALL = 1 << 20;
  private static final String KEPT = "feedfeedfeedfeed";
  private static final String AGAIN = "beefbeefbeefbeef";

  @TempDir Path work;

  private final Steps steps = new Steps(System::nanoTime);

  /** A new one whose slots 1 and 2 stand. */
  protected abstract Hypervisor hypervisor();

  protected abstract ProcessTable processes();

  /** Ends the VMM in a slot as the kernel would. */
  protected abstract void kill(int slot);

  /** Puts a snapshot's files, those that are there, where restores of that name find them. */
  protected abstract void publish(Path directory, String name) throws IOException;

  /** A state as another version of the same hypervisor would have written it. */
  protected abstract byte[] ofAnotherVersion(byte[] state);

  /** Makes a volume, of that name for a machine's description; nothing is in it. */
  protected abstract Path volume(String name, long bytes) throws IOException;

  /**
   * A directory on a file system without room for a snapshot; skips the test where there is none.
   */
  protected abstract Path fullDirectory() throws IOException;

  @AfterEach
  protected void killAll() {
    kill(1);
    kill(2);
  }

  @Test
  void aMachineStartsPausedAndRunsWhenTold() throws IOException {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    assertThat(processes().alive(machine.process())).isTrue();
    machine.resume();
    machine.pause();
    machine.resume();
    machine.stop();
    assertThat(processes().alive(machine.process())).isFalse();
    machine.stop();
    assertThatThrownBy(machine::resume).isInstanceOf(MachineException.class);
  }

  @Test
  void aMachineThatDiesSaysSo() throws Exception {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    machine.resume();
    assertThat(machine.ended().toCompletableFuture()).isNotDone();
    kill(1);
    assertThat(machine.ended().toCompletableFuture().get(60, TimeUnit.SECONDS)).isNotEmpty();
  }

  @Test
  void lettingGoLeavesItRunningForWhoAdoptsIt() throws Exception {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    machine.resume();
    machine.close();
    Machine again = hypervisor.adopt(A, 1, SIZE, machine.process());
    again.pause();
    again.resume();
    kill(1);
    assertThat(again.ended().toCompletableFuture().get(60, TimeUnit.SECONDS)).isNotEmpty();
    assertThatThrownBy(() -> hypervisor.adopt(A, 1, SIZE, machine.process()))
        .isInstanceOf(MachineException.class);
  }

  @Test
  void aMachineIsKeptWhileItLivesAndGoesOn() throws IOException {
    Hypervisor hypervisor = hypervisor();
    Machine source = hypervisor.boot(spec(hypervisor, A, 1), steps);
    source.resume();
    Path first = target("first");
    assertThatThrownBy(() -> source.snapshot(first)).isInstanceOf(MachineException.class);
    assertThat(first).isEmptyDirectory();
    source.pause();
    source.snapshot(first);
    assertKept(first);
    // Twice from one halt, and again after it ran.
    source.snapshot(target("second"));
    source.resume();
    source.pause();
    source.snapshot(target("third"));
    source.resume();
    assertThat(processes().alive(source.process())).isTrue();

    publish(first, KEPT);
    assertRuns(hypervisor.restore(spec(hypervisor, B, 2), KEPT, steps));
  }

  @Test
  void aMachineThatWaitedIsRenamedGrownAndKnownByItsNewNameAlone() throws Exception {
    Hypervisor hypervisor = hypervisor();
    publish(kept(hypervisor, A, 1), KEPT);

    WaitingMachine waiting = hypervisor.prepare(spec(hypervisor, B, 2), KEPT, steps);
    assertThat(processes().alive(waiting.process())).isTrue();
    Machine machine = waiting.load(steps);
    assertThat(machine.process()).isEqualTo(waiting.process());
    Files.move(hypervisor.directory(B), hypervisor.directory(C));
    machine.renamed(C);
    machine.growDisk(100);
    assertThat(Files.size(hypervisor.directory(C).resolve(MachineSpec.DISK))).isEqualTo(100L << 20);
    machine.resume();
    machine.close();

    Machine again = hypervisor.adopt(C, 2, SIZE, machine.process());
    again.pause();
    kill(2);
    assertThat(again.ended().toCompletableFuture().get(60, TimeUnit.SECONDS)).isNotEmpty();
  }

  @Test
  void oneThatWaitsIsStoppedOrDiesBeforeItIsLoaded() throws Exception {
    Hypervisor hypervisor = hypervisor();
    publish(kept(hypervisor, A, 1), KEPT);

    WaitingMachine waiting = hypervisor.prepare(spec(hypervisor, B, 2), KEPT, steps);
    waiting.stop();
    assertThat(processes().alive(waiting.process())).isFalse();
    WaitingMachine killed = hypervisor.prepare(spec(hypervisor, B, 2), KEPT, steps);
    assertThat(killed.ended().toCompletableFuture()).isNotDone();
    kill(2);
    assertThat(killed.ended().toCompletableFuture().get(60, TimeUnit.SECONDS)).isNotEmpty();
    assertThatThrownBy(() -> killed.load(steps)).isInstanceOf(MachineException.class);
    hypervisor.restore(spec(hypervisor, B, 2), KEPT, steps).stop();
  }

  @Test
  void manyComeOutOfOneSnapshotAndEachCanBeKept() throws IOException {
    Hypervisor hypervisor = hypervisor();
    publish(kept(hypervisor, A, 1), KEPT);

    Machine one = hypervisor.restore(spec(hypervisor, A, 1), KEPT, steps);
    Machine two = hypervisor.restore(spec(hypervisor, B, 2), KEPT, steps);
    one.resume();
    two.resume();
    two.pause();
    two.snapshot(target("of-a-clone"));
    publish(work.resolve("of-a-clone"), AGAIN);
    two.stop();
    assertThat(processes().alive(one.process())).isTrue();
    assertRuns(hypervisor.restore(spec(hypervisor, B, 2), AGAIN, steps));
  }

  @Test
  void aSnapshotOfAnotherSizeIsKeptAndRestoredBesideTheFirst() throws IOException {
    Hypervisor hypervisor = hypervisor();
    publish(kept(hypervisor, A, 1), KEPT);
    Machine source = hypervisor.boot(large(spec(hypervisor, B, 2)), steps);
    source.resume();
    source.pause();
    source.snapshot(target("large"));
    source.stop();
    publish(work.resolve("large"), AGAIN);

    Machine small = hypervisor.restore(spec(hypervisor, A, 1), KEPT, steps);
    Machine large = hypervisor.restore(large(spec(hypervisor, B, 2)), AGAIN, steps);
    small.resume();
    large.resume();
    // It sleeps and wakes in that size too.
    large.pause();
    large.snapshot(hypervisor.directory(B));
    large.stop();
    assertRuns(hypervisor.wake(large(spec(hypervisor, B, 2)), steps));
    small.pause();
    assertRuns(small);
  }

  /** Of more processors and more memory. */
  private static MachineSpec large(MachineSpec spec) {
    return new MachineSpec(
        spec.sandbox(),
        spec.slot(),
        spec.image(),
        new MachineSize(2 * SIZE.vcpus(), 2 * SIZE.memoryMib(), SIZE.diskMib()),
        spec.kernelArguments());
  }

  @Test
  void aMachineSleepsInItsOwnDirectoryAndWakesAsOftenAsItLikes() throws IOException {
    Hypervisor hypervisor = hypervisor();
    MachineSpec spec = spec(hypervisor, A, 1);
    Path own = hypervisor.directory(A);
    Machine machine = hypervisor.boot(spec, steps);
    machine.resume();
    for (int night = 0; night < 3; night++) {
      machine.pause();
      machine.snapshot(own);
      machine.stop();
      machine = hypervisor.wake(spec, steps);
      machine.resume();
      // What it is made of is its own now; nobody else needs the names.
      Files.delete(own.resolve(MachineSpec.RAM));
      Files.delete(own.resolve(MachineSpec.STATE));
    }
    assertRuns(machine);
  }

  /** Back in place: the same slot, the same directory, what was kept. */
  @Test
  void aMachineGoesBackToWhatWasKept() throws IOException {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    machine.resume();
    machine.pause();
    machine.snapshot(target("kept"));
    publish(work.resolve("kept"), KEPT);
    machine.resume();
    machine.stop();
    for (int again = 0; again < 2; again++) {
      assertRuns(hypervisor.restore(spec(hypervisor, A, 1), KEPT, steps));
    }
  }

  @Test
  void whatIsBrokenOrOfAnotherVersionIsRefusedAndNothingRuns() throws IOException {
    Hypervisor hypervisor = hypervisor();
    Path good = kept(hypervisor, A, 1);
    Path half = copy(good, "half");
    Path state = half.resolve(MachineSpec.STATE);
    byte[] bytes = Files.readAllBytes(state);
    Files.write(state, Arrays.copyOf(bytes, bytes.length / 2));
    Path rubbish = copy(good, "rubbish");
    Files.write(rubbish.resolve(MachineSpec.STATE), new byte[bytes.length]);
    Path alien = copy(good, "alien");
    Files.write(alien.resolve(MachineSpec.STATE), ofAnotherVersion(bytes));
    Path without = copy(good, "without");
    Files.delete(without.resolve(MachineSpec.RAM));

    Path shorter = copy(good, "shorter");
    try (FileChannel ram =
        FileChannel.open(shorter.resolve(MachineSpec.RAM), StandardOpenOption.WRITE)) {
      ram.truncate(ram.size() / 2);
    }

    for (Path broken : List.of(half, rubbish, alien, without, shorter)) {
      String name = String.valueOf(broken.getFileName());
      publish(broken, name);
      MachineSpec spec = spec(hypervisor, B, 2);
      assertThatThrownBy(() -> hypervisor.restore(spec, name, steps))
          .as(name)
          .isInstanceOf(MachineException.class);

      for (String file : List.of(MachineSpec.RAM, MachineSpec.STATE)) {
        Files.deleteIfExists(hypervisor.directory(B).resolve(file));
        if (Files.exists(broken.resolve(file))) {
          copyFile(broken.resolve(file), hypervisor.directory(B).resolve(file));
        }
      }
      assertThatThrownBy(() -> hypervisor.wake(spec, steps))
          .as(name)
          .isInstanceOf(MachineException.class);
      assertThat(hypervisor.directory(B).resolve(MachineSpec.STATE))
          .as("not changed by a wake that fails")
          .hasSameBinaryContentAs(broken.resolve(MachineSpec.STATE));
    }
    // The slot is free.
    publish(good, KEPT);
    assertRuns(hypervisor.restore(spec(hypervisor, B, 2), KEPT, steps));
  }

  @Test
  void whatDoesNotFitIsNotKeptAndTheMachineGoesOn() throws IOException {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    machine.resume();
    machine.pause();
    Path full = fullDirectory();
    assertThatThrownBy(() -> machine.snapshot(full)).isInstanceOf(MachineException.class);
    assertThat(full.resolve(MachineSpec.RAM)).doesNotExist();
    assertThat(full.resolve(MachineSpec.STATE)).doesNotExist();
    machine.resume();
    machine.pause();
    machine.snapshot(target("roomy"));
    assertKept(work.resolve("roomy"));
    machine.resume();
    assertRuns(machine);
  }

  @Test
  void nothingIsWrittenOverAndADeadMachineIsNotKept() throws Exception {
    Hypervisor hypervisor = hypervisor();
    Machine machine = hypervisor.boot(spec(hypervisor, A, 1), steps);
    Path taken = target("taken");
    Files.writeString(taken.resolve(MachineSpec.STATE), "another's");
    assertThatThrownBy(() -> machine.snapshot(taken)).isInstanceOf(MachineException.class);
    assertThat(taken.resolve(MachineSpec.STATE)).hasContent("another's");
    assertThat(taken.resolve(MachineSpec.RAM)).doesNotExist();

    kill(1);
    machine.ended().toCompletableFuture().get(60, TimeUnit.SECONDS);
    assertThatThrownBy(() -> machine.snapshot(target("dead"))).isInstanceOf(MachineException.class);
    assertThat(work.resolve("dead")).isEmptyDirectory();
  }

  @Test
  void aStartThatFailsLeavesNoProcess() throws IOException {
    Hypervisor hypervisor = hypervisor();
    MachineSpec spec = spec(hypervisor, A, 1);
    Files.delete(hypervisor.directory(A).resolve(MachineSpec.DISK));
    assertThatThrownBy(() -> hypervisor.boot(spec, steps)).isInstanceOf(MachineException.class);
    SparseFile.create(hypervisor.directory(A).resolve(MachineSpec.DISK), 1 << 20).close();
    hypervisor.boot(spec, steps).stop();
  }

  @Test
  void aMachineHasVolumesFromTheBeginningAndSleepsWithThem() throws IOException {
    Hypervisor hypervisor = hypervisor();
    MachineSpec spec = withVolumes(spec(hypervisor, A, 1), volumes());
    Machine machine = hypervisor.boot(spec, steps);
    machine.resume();
    machine.pause();
    machine.snapshot(hypervisor.directory(A));
    machine.stop();
    assertRuns(hypervisor.wake(spec, steps));
  }

  @Test
  void aCloneMayHaveVolumesThatItsTemplateHadNot() throws IOException {
    Hypervisor hypervisor = hypervisor();
    publish(kept(hypervisor, A, 1), KEPT);
    MachineSpec plain = spec(hypervisor, B, 2);
    MachineSpec spec = withVolumes(plain, volumes());
    assertThat(hypervisor.fingerprint(spec))
        .as("a template knows nothing of its clones' volumes")
        .isEqualTo(hypervisor.fingerprint(plain));
    Machine clone = hypervisor.restore(spec, KEPT, steps);
    clone.resume();
    clone.pause();
    // It sleeps with them too.
    clone.snapshot(hypervisor.directory(B));
    clone.stop();
    assertRuns(hypervisor.wake(spec, steps));
  }

  @Test
  void aVolumeIsTheDiskOfWhatBootsAndSleeps() throws IOException {
    Hypervisor hypervisor = hypervisor();
    List<String> volumes = volumes();
    MachineSpec spec = withDisk(spec(hypervisor, A, 1), volumes.subList(0, 1), volumes.getLast());
    Machine machine = hypervisor.boot(spec, steps);
    machine.resume();
    machine.pause();
    machine.snapshot(hypervisor.directory(A));
    machine.stop();
    assertRuns(hypervisor.wake(spec, steps));
  }

  private List<String> volumes() throws IOException {
    List<String> volumes = List.of("vol-" + "a".repeat(20), "vol-" + "b".repeat(20));
    for (String volume : volumes) {
      assertThat(volume(volume, 1 << 20)).isRegularFile();
    }
    return volumes;
  }

  protected static MachineSpec withVolumes(MachineSpec spec, List<String> volumes) {
    return new MachineSpec(
        spec.sandbox(),
        spec.slot(),
        spec.image(),
        spec.size(),
        spec.kernelArguments(),
        volumes,
        Optional.empty());
  }

  private static MachineSpec withDisk(MachineSpec spec, List<String> volumes, String disk) {
    return new MachineSpec(
        spec.sandbox(),
        spec.slot(),
        spec.image(),
        spec.size(),
        spec.kernelArguments(),
        volumes,
        Optional.of(disk));
  }

  private Path kept(Hypervisor hypervisor, String sandbox, int slot) throws IOException {
    Machine source = hypervisor.boot(spec(hypervisor, sandbox, slot), steps);
    source.resume();
    source.pause();
    Path target = target("kept-of-" + sandbox);
    source.snapshot(target);
    source.stop();
    return target;
  }

  private Path target(String name) throws IOException {
    return Files.createDirectory(work.resolve(name));
  }

  private Path copy(Path source, String name) throws IOException {
    Path target = target(name);
    for (String file : List.of(MachineSpec.RAM, MachineSpec.STATE)) {
      copyFile(source.resolve(file), target.resolve(file));
    }
    return target;
  }

  /** A guest's memory is mostly holes, and where processors are emulated every byte counts. */
  protected static void copyFile(Path source, Path target) throws IOException {
    if (Files.size(source) <= SMALL) {
      Files.copy(source, target);
    } else {
      new CpCopier().copy(source, target);
    }
  }

  /** Makes the files of a snapshot, those that are there, a template's. */
  protected static void copyKept(Path source, Path target) throws IOException {
    Files.createDirectories(target);
    for (String file : List.of(MachineSpec.RAM, MachineSpec.STATE)) {
      if (Files.exists(source.resolve(file))) {
        copyFile(source.resolve(file), target.resolve(file));
      }
    }
  }

  private static void assertKept(Path target) {
    assertThat(target.resolve(MachineSpec.RAM)).isNotEmptyFile();
    assertThat(target.resolve(MachineSpec.STATE)).isNotEmptyFile();
  }

  private void assertRuns(Machine machine) {
    machine.resume();
    assertThat(processes().alive(machine.process())).isTrue();
    machine.stop();
    assertThat(processes().alive(machine.process())).isFalse();
  }

  protected static MachineSpec spec(Hypervisor hypervisor, String sandbox, int slot)
      throws IOException {
    Path directory = Files.createDirectories(hypervisor.directory(sandbox));
    Path disk = directory.resolve(MachineSpec.DISK);
    if (!Files.exists(disk)) {
      SparseFile.create(disk, 64L << 20).close();
    }
    return new MachineSpec(sandbox, slot, "0123456789abcdef", SIZE, "quiet");
  }
}
