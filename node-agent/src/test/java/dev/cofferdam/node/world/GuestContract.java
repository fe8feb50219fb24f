package dev.cofferdam.node.world;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.disk.MkfsDisks;
import dev.cofferdam.node.guest.Freshness;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestException;
import dev.cofferdam.node.guest.GuestIdentity;
import dev.cofferdam.node.guest.UnixGuestConnector;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.HypervisorContract;
import dev.cofferdam.node.machine.LinuxProcessTable;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.node.probe.GuestProof;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What every hypervisor does alike in node-helper's jail, whole guests included. */
@NeedsWorld
abstract class GuestContract extends HypervisorContract {
  /** For a guest whose processor is emulated, by one that is emulated itself. */
  private static final Duration PATIENCE = Duration.ofMinutes(3);

  private static final MachineSize GUEST = new MachineSize(1, 256, 64);
  private static final String VOLUME = "vol-" + "v".repeat(20);
  private static final String KEPT = "feed";

  /** The kernel finds no first process, and stands still for good. */
  private static final String DUMB = " rdinit=/nothing panic=0";

  final World world = new World();
  private final UnixGuestConnector guests =
      new UnixGuestConnector(Executors.newVirtualThreadPerTaskExecutor());
  private final Random random = new Random(1);

  @BeforeEach
  void clean() throws IOException {
    world.clean();
  }

  @Override
  @AfterEach
  protected void killAll() {
    guests.close();
    world.close();
  }

  @Override
  protected ProcessTable processes() {
    return new LinuxProcessTable();
  }

  @Override
  protected void kill(int slot) {
    world.kill(slot);
  }

  @Override
  protected void publish(Path source, String name) throws IOException {
    copyKept(source, world.templates().resolve(name));
  }

  @Override
  protected Path volume(String name, long bytes) throws IOException {
    return world.emptyVolume(name, bytes);
  }

  @Override
  protected Path fullDirectory() {
    return world.full();
  }

  /** What the hypervisor calls it when a guest resets its machine. */
  protected abstract String reset();

  @Test
  void aGuestThatEndsItselfIsSaidToHave() throws Exception {
    // Without a first program the kernel panics, and reboots as it is told to.
    Machine machine =
        hypervisor()
            .boot(formatted("sb-panics", 1, "panic=-1 reboot=t rdinit=/nothing quiet"), steps());
    machine.resume();
    assertThat(machine.ended().toCompletableFuture().get(120, TimeUnit.SECONDS))
        .isEqualTo("the guest ended itself: " + reset());
    assertThat(processes().alive(machine.process())).isFalse();
  }

  @Test
  void clonesOfATemplateAreEachTheirOwnAndAVolumeGoesFromOneToTheNext() throws Exception {
    Hypervisor hypervisor = hypervisor();
    Path kept = Files.createDirectory(world.templates().resolve(KEPT));
    Machine source = hypervisor.boot(formatted("sb-source", 1, arguments()), steps());
    source.resume();
    try (Guest guest = guests.connect(world.link(1))) {
      guest.prepareSnapshot(List.of("true"), PATIENCE);
    }
    source.pause();
    source.snapshot(kept);
    copyFile(disk("sb-source"), kept.resolve(MachineSpec.DISK));
    source.stop();

    world.formattedVolume(VOLUME, 16);
    Machine one = restored("sb-one", 1, List.of(VOLUME));
    assertThatThrownBy(() -> restored("sb-thief", 2, List.of(VOLUME)))
        .as("one writer at a time")
        .isInstanceOf(MachineException.class);
    String first;
    try (Guest guest = guests.connect(world.link(1))) {
      String token = configured(guest, "sb-one", List.of("/data"));
      first = shell(guest, token, "cat /etc/machine-id").output();
      assertThat(
              shell(guest, token, "echo from one > /data/x && sync && df /data | grep -c /dev/vd"))
          .isEqualTo(new Execution.Ended(0, "1\n"));
    }
    one.stop();
    Machine two = restored("sb-two", 2, List.of(VOLUME));
    try (Guest guest = guests.connect(world.link(2))) {
      String token = configured(guest, "sb-two", List.of("/data"));
      assertThat(shell(guest, token, "cat /data/x").output()).isEqualTo("from one\n");
      assertThat(shell(guest, token, "cat /etc/machine-id").output())
          .as("two machines")
          .isNotEqualTo(first);
      assertThat(shell(guest, token, "ls /data/y").exit()).isNotZero();
    }
    two.stop();
  }

  @Test
  void aForkGoesOnWithItsProcessesAndSoDoesWhatItIsAForkOf() throws Exception {
    Hypervisor hypervisor = hypervisor();
    Path kept = Files.createDirectory(world.templates().resolve(KEPT));
    Machine source = hypervisor.boot(formatted("sb-source", 1, arguments()), steps());
    source.resume();
    String token;
    String counter;
    try (Guest guest = guests.connect(world.link(1))) {
      token = configured(guest, "sb-source", List.of());
      counter =
          shell(
                  guest,
                  token,
                  """
                  (i=10; while :; do echo $i > /root/next; mv /root/next /root/count; i=$((i + 1)); sleep 0.05; done) \
                  </dev/null >/dev/null 2>&1 & echo $!
                  """)
              .output()
              .strip();
      assertThat(counted(guest, token, 10)).isGreaterThan(10);
      guest.freeze(token, PATIENCE);
    }
    source.pause();
    source.snapshot(kept);
    copyFile(disk("sb-source"), kept.resolve(MachineSpec.DISK));
    Machine one = restored("sb-one", 2, List.of());
    Machine two = restored("sb-two", 3, List.of());
    source.resume();

    int then;
    try (Guest guest = guests.connect(world.link(2))) {
      GuestIdentity identity = thawed(guest, token, Optional.of("sb-one"));
      then = counted(guest, identity.token(), 10);
      assertThat(shell(guest, identity.token(), "kill -0 " + counter + " && hostname").output())
          .isEqualTo("sb-one\n");
    }
    try (Guest guest = guests.connect(world.link(3))) {
      GuestIdentity identity = thawed(guest, token, Optional.of("sb-two"));
      assertThat(counted(guest, identity.token(), 10)).isGreaterThan(10);
      assertThat(shell(guest, identity.token(), "echo two > /root/own").exit()).isZero();
      // Whoever dies takes nobody along.
      kill(2);
      assertThat(one.ended().toCompletableFuture().get(60, TimeUnit.SECONDS)).isNotEmpty();
      assertThat(shell(guest, identity.token(), "cat /root/own").output()).isEqualTo("two\n");
    }
    try (Guest guest = guests.connect(world.link(1))) {
      thawed(guest, token, Optional.empty());
      assertThat(counted(guest, token, then)).isGreaterThan(then);
      assertThat(shell(guest, token, "hostname; cat /root/own").output())
          .startsWith("sb-source\n")
          .doesNotContain("two");
    }
    two.stop();
    source.stop();
  }

  @Test
  void aDiskThatIsFullIsItsGuestsMatterAlone() throws Exception {
    Machine machine = hypervisor().boot(formatted("sb-full", 1, arguments()), steps());
    machine.resume();
    try (Guest guest = guests.connect(world.link(1))) {
      String token = configured(guest, "sb-full", List.of());
      Execution.Ended full = shell(guest, token, "dd if=/dev/zero of=/root/fill bs=1M 2>&1");
      assertThat(full.exit()).isNotZero();
      assertThat(full.output()).contains("No space left on device");
      assertThat(Files.size(disk("sb-full"))).isEqualTo((long) GUEST.diskMib() << 20);
      assertThat(shell(guest, token, "rm /root/fill && echo again > /root/x && cat /root/x"))
          .isEqualTo(new Execution.Ended(0, "again\n"));
    }
    machine.stop();
  }

  @Test
  void anAgentThatNeverAnswersIsGivenUpAndItsMachineStopped() throws Exception {
    MachineSpec spec = formatted("sb-dumb", 1, arguments() + DUMB);
    Machine machine = hypervisor().boot(spec, steps());
    machine.resume();
    try (Guest guest = guests.connect(world.link(1))) {
      GuestIdentity identity = identity("sb-dumb", List.of());
      assertThatThrownBy(() -> guest.configure(identity, Duration.ofSeconds(3)))
          .isInstanceOf(GuestException.class);
    }
    assertThat(processes().alive(machine.process())).isTrue();
    machine.stop();
    assertThat(processes().alive(machine.process())).isFalse();
  }

  /** As a node decides on its driver, and `cofferdam doctor` before it. */
  @Test
  void aGuestThatBootsIsAProofOfWhichNothingIsLeft() throws IOException {
    assertThat(proof(PATIENCE).boot(hypervisor(), world.image(arguments())))
        .startsWith("a guest answered");
    assertThat(world.sandboxes()).isEmptyDirectory();
    world.link(1);
    hypervisor().boot(spec(hypervisor(), A, 1), steps()).stop();
  }

  @Test
  void aGuestThatDoesNotBootIsNoneAndNothingIsLeftOfIt() throws IOException {
    GuestProof proof = proof(Duration.ofSeconds(3));
    Image dumb = world.image(arguments() + DUMB);
    assertThatThrownBy(() -> proof.boot(hypervisor(), dumb))
        .isInstanceOf(MachineException.class)
        .hasMessageContaining("no agent answered within PT3S");
    assertThat(world.sandboxes()).isEmptyDirectory();
    world.link(1);
    hypervisor().boot(spec(hypervisor(), A, 1), steps()).stop();
  }

  final GuestProof proof(Duration patience) {
    return world.proof(guests, patience);
  }

  private Machine restored(String sandbox, int slot, List<String> volumes) throws IOException {
    Files.createDirectories(hypervisor().directory(sandbox));
    copyFile(world.templates().resolve(KEPT).resolve(MachineSpec.DISK), disk(sandbox));
    Machine machine =
        hypervisor().restore(withVolumes(spec(sandbox, slot, arguments()), volumes), KEPT, steps());
    machine.resume();
    return machine;
  }

  /** A machine whose disk a guest can write to. */
  private MachineSpec formatted(String sandbox, int slot, String arguments) throws IOException {
    Files.createDirectories(hypervisor().directory(sandbox));
    new MkfsDisks().format(disk(sandbox), GUEST.diskMib());
    return spec(sandbox, slot, arguments);
  }

  private static MachineSpec spec(String sandbox, int slot, String arguments) {
    return new MachineSpec(sandbox, slot, World.IMAGE, GUEST, arguments);
  }

  private String arguments() throws IOException {
    return world.arguments();
  }

  private Path disk(String sandbox) {
    return hypervisor().directory(sandbox).resolve(MachineSpec.DISK);
  }

  /** Returns the token. */
  private String configured(Guest guest, String name, List<String> volumes) {
    GuestIdentity identity = identity(name, volumes);
    guest.configure(identity, PATIENCE);
    return identity.token();
  }

  /**
   * @param name of a copy, empty for who was frozen
   */
  private GuestIdentity thawed(Guest guest, String token, Optional<String> name) {
    GuestIdentity identity = identity(name.orElse("nobody"), List.of());
    guest.thaw(
        token,
        Freshness.of(random, Instant.EPOCH.plusSeconds(1_800_000_000)),
        name.map(_ -> identity),
        PATIENCE);
    return identity;
  }

  private GuestIdentity identity(String name, List<String> volumes) {
    return GuestIdentity.fresh(
        random, Instant.ofEpochSecond(1_800_000_000), name, Map.of(), "", volumes);
  }

  /** What a process in the guest has counted to, once that is more. */
  private static int counted(Guest guest, String token, int than) throws Exception {
    String command =
        "exec 2>/dev/null; while ! [ \"$(cat /root/count)\" -gt %d ]; do sleep 0.05; done; cat /root/count"
            .formatted(than);
    return Integer.parseInt(shell(guest, token, command).output().strip());
  }

  private static Execution.Ended shell(Guest guest, String token, String command) throws Exception {
    return Execution.run(
        guest.connected(PATIENCE), token, List.of("/bin/sh", "-c", command), PATIENCE);
  }

  static Steps steps() {
    return new Steps(System::nanoTime);
  }
}
