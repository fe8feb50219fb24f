package dev.cofferdam.node.cloudhypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.guest.Guest;
import dev.cofferdam.node.guest.GuestIdentity;
import dev.cofferdam.node.guest.UnixGuestConnector;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.Steps;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** A whole guest, its agent and its processes, on the real Cloud Hypervisor. */
@EnabledIfSystemProperty(
    named = "cofferdam.world",
    matches = ".+",
    disabledReason = "needs virtualisation and node-helper: testkit/nested/run.sh brings both")
class GuestOnCloudHypervisorTest {
  private static final Duration BOOT = Duration.ofMinutes(3);
  private static final MachineSize SIZE = new MachineSize(1, 256, 64);

  private final World world = new World();
  private final UnixGuestConnector guests =
      new UnixGuestConnector(Executors.newVirtualThreadPerTaskExecutor());

  @BeforeEach
  void clean() throws IOException {
    world.clean();
  }

  @AfterEach
  void close() {
    guests.close();
    world.kill(1);
    world.kill(2);
    world.close();
  }

  @Test
  void clonesOfOneGuestGoOnWhereItStoodAndEachIsItsOwn() throws Exception {
    MachineSpec spec = spec("sb-source", 1);
    Path kept = Files.createDirectory(world.templates().resolve("feed"));
    Machine source = world.hypervisor().boot(spec, steps());
    try (Guest guest = guests.connect(world.link(1))) {
      source.resume();
      guest.prepareSnapshot(List.of("true"), BOOT);
    }
    source.pause();
    source.snapshot(kept);
    Files.copy(disk("sb-source"), kept.resolve(MachineSpec.DISK));
    source.stop();

    Set<String> boots = new HashSet<>();
    Set<String> names = new HashSet<>();
    Machine one = clone("sb-one", 1, kept);
    Machine two = clone("sb-two", 2, kept);
    for (int slot : List.of(1, 2)) {
      try (Guest guest = guests.connect(world.link(slot))) {
        guest.configure(
            GuestIdentity.fresh(
                new Random(slot), Instant.ofEpochSecond(1_800_000_000), "sb-" + slot, Map.of(), ""),
            BOOT);
        boots.add(exec(guest, "cat", "/proc/sys/kernel/random/boot_id"));
        names.add(exec(guest, "cat", "/etc/machine-id"));
        assertThat(exec(guest, "sh", "-c", "echo $((6 * 7)) > /root/x; cat /root/x"))
            .isEqualTo("42\n");
      }
    }
    assertThat(boots).as("one kernel that went on twice").hasSize(1);
    assertThat(names).as("two machines").hasSize(2);
    one.stop();
    two.stop();
  }

  private Machine clone(String sandbox, int slot, Path kept) throws IOException {
    Files.createDirectories(world.hypervisor().directory(sandbox));
    Files.copy(kept.resolve(MachineSpec.DISK), disk(sandbox));
    Machine machine =
        world.hypervisor().restore(world.spec(sandbox, slot, SIZE, arguments()), "feed", steps());
    machine.resume();
    return machine;
  }

  private MachineSpec spec(String sandbox, int slot) throws Exception {
    Files.createDirectories(world.hypervisor().directory(sandbox));
    SparseFile.create(disk(sandbox), (long) SIZE.diskMib() << 20).close();
    Process format =
        new ProcessBuilder(
                "/usr/sbin/mke2fs",
                "-q",
                "-F",
                "-t",
                "ext4",
                "-O",
                "^has_journal",
                disk(sandbox).toString())
            .inheritIO()
            .start();
    assertThat(format.waitFor()).isZero();
    return world.spec(sandbox, slot, SIZE, arguments());
  }

  /** The image's own. */
  private String arguments() throws IOException {
    return new ObjectMapper()
        .readTree(Path.of(System.getProperty("cofferdam.image", "/"), "manifest.json").toFile())
        .path("cmdline")
        .asText();
  }

  private Path disk(String sandbox) {
    return world.hypervisor().directory(sandbox).resolve(MachineSpec.DISK);
  }

  private static Steps steps() {
    return new Steps(System::nanoTime);
  }

  private static String exec(Guest guest, String... argv) throws Exception {
    CompletableFuture<String> done = new CompletableFuture<>();
    ByteArrayOutputStream output = new ByteArrayOutputStream();
    StreamObserver<StartProcessRequest> requests =
        ProcessServiceGrpc.newStub(guest.connected(BOOT))
            .withDeadlineAfter(60, TimeUnit.SECONDS)
            .startProcess(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ProcessEvent event) {
                    if (event.hasStdout()) {
                      output.writeBytes(event.getStdout().getData().toByteArray());
                    } else if (event.hasStderr()) {
                      output.writeBytes(event.getStderr().getData().toByteArray());
                    }
                  }

                  @Override
                  public void onError(Throwable thrown) {
                    done.completeExceptionally(thrown);
                  }

                  @Override
                  public void onCompleted() {
                    done.complete(output.toString(StandardCharsets.UTF_8));
                  }
                });
    requests.onNext(
        StartProcessRequest.newBuilder()
            .setSpec(ProcessSpec.newBuilder().addAllArgv(List.of(argv)))
            .build());
    requests.onCompleted();
    return done.get(60, TimeUnit.SECONDS);
  }
}
