package dev.cofferdam.node.cloudhypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.Steps;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The driver against recorded restores: which way it takes, and what it does when it is refused.
 */
class RecordedRestoreTest {
  private static final String SANDBOX = "sb-a";
  private static final byte[] MEMORY = new byte[8192];
  private static final String VERSION = "v53.0-246-gae44c2971-dirty";
  private static final MachineSpec SPEC =
      new MachineSpec(SANDBOX, 1, "0123456789abcdef", new MachineSize(1, 128, 64), "quiet");

  @TempDir Path root;
  private final ConcurrentLinkedQueue<String> helped = new ConcurrentLinkedQueue<>();
  private CloudHypervisor hypervisor;
  private Path sandbox;
  private Path kept;

  @BeforeEach
  void setUp() throws IOException {
    sandbox = Files.createDirectories(root.resolve("sandboxes").resolve(SANDBOX));
    kept = Files.createDirectories(root.resolve("kept").resolve("feed"));
    Files.write(kept.resolve(MachineSpec.RAM), MEMORY);
    keep(VERSION);
    hypervisor =
        new CloudHypervisor(
            helper(), _ -> true, root.resolve("sandboxes"), root.resolve("kept"), "test", false);
  }

  @AfterEach
  void close() {
    hypervisor.close();
  }

  @Test
  void anUnknownModeIsRefusedAndTheNextOneTaken() throws IOException {
    try (Replay replay = replay("restore")) {
      hypervisor.restore(SPEC, "feed", steps()).close();
      assertThat(replay.problems()).isEmpty();
      assertThat(restores(replay)).isEqualTo(2);
      assertThat(sandbox.resolve("state.json")).doesNotExist();
      // What turned out is remembered.
      hypervisor.restore(SPEC, "feed", steps()).close();
      assertThat(restores(replay)).isEqualTo(3);
    }
  }

  @Test
  void withoutUserfaultfdMemoryIsCopied() throws IOException {
    try (Replay replay = replay("no-userfaultfd")) {
      hypervisor.restore(SPEC, "feed", steps()).close();
      assertThat(replay.problems()).isEmpty();
      assertThat(restores(replay)).isEqualTo(3);
    }
  }

  @Test
  void whileMemoryIsStillReadInASnapshotIsAskedForAgain() throws IOException {
    try (Replay replay = replay("restore")) {
      replay.before("PUT /api/v1/vm.snapshot", this::writeSnapshot);
      Machine machine = hypervisor.restore(SPEC, "feed", steps());
      Path target = Files.createDirectory(root.resolve("target"));
      machine.snapshot(target);
      machine.close();
      assertThat(replay.asked().stream().filter(call -> call.endsWith("vm.snapshot")).count())
          .isEqualTo(3);
      assertThat(Files.readAllBytes(target.resolve(MachineSpec.RAM))).isEqualTo(MEMORY);
      KeptState state = KeptState.read(target.resolve(MachineSpec.STATE));
      assertThat(state.version()).isEqualTo(VERSION);
      assertThat(new String(state.config(), StandardCharsets.UTF_8)).isEqualTo("config.json's");
      assertThat(sandbox.resolve("memory-ranges")).doesNotExist();
    }
  }

  @Test
  void aCorruptStateIsNoMatterOfTheModeAndLeavesNoProcess() throws IOException {
    try (Replay replay = replay("corrupt")) {
      assertThatThrownBy(() -> hypervisor.restore(SPEC, "feed", steps()))
          .isInstanceOf(MachineException.class)
          .hasMessageContaining("Error deserialising VM state snapshot");
      assertThat(replay.problems()).isEmpty();
      assertThat(helped).containsExactly("startVmm", "stopVmm");
    }
  }

  @Test
  void whatAnotherVersionWroteIsRefused() throws IOException {
    keep("v52.0");
    try (Replay replay = replay("restore")) {
      assertThatThrownBy(() -> hypervisor.restore(SPEC, "feed", steps()))
          .isInstanceOf(MachineException.class)
          .hasMessageContaining("the snapshot is of v52.0, expected " + VERSION);
      assertThat(restores(replay)).isZero();
      assertThat(helped).containsExactly("startVmm", "stopVmm");
    }
  }

  @Test
  void whatIsNotWholeStartsNothing() throws IOException {
    Path state = kept.resolve(MachineSpec.STATE);
    byte[] whole = Files.readAllBytes(state);
    for (int length = 0; length < whole.length; length++) {
      Files.write(state, java.util.Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> hypervisor.restore(SPEC, "feed", steps()))
          .as("%s bytes", length)
          .isInstanceOf(MachineException.class);
    }
    Files.write(state, whole);
    Files.write(kept.resolve(MachineSpec.RAM), new byte[MEMORY.length - 1]);
    assertThatThrownBy(() -> hypervisor.restore(SPEC, "feed", steps()))
        .isInstanceOf(MachineException.class)
        .hasMessageContaining("8192 bytes");
    assertThat(helped).isEmpty();
  }

  @Test
  void aVmmThatWasTakenOverCannotHaveAnotherFileKept() throws IOException {
    Path secret = Files.writeString(root.resolve("secret"), "another's");
    for (String file : VmmFiles.ALL) {
      try (Replay replay = replay("restore")) {
        Machine machine = hypervisor.restore(SPEC, "feed", steps());
        replay.before(
            "PUT /api/v1/vm.snapshot",
            () -> {
              writeSnapshot();
              try {
                Files.delete(sandbox.resolve(file));
                Files.createSymbolicLink(sandbox.resolve(file), secret);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
        Path target = Files.createDirectory(root.resolve("target-" + file));
        assertThatThrownBy(() -> machine.snapshot(target)).isInstanceOf(MachineException.class);
        assertThat(target).isEmptyDirectory();
        machine.close();
      }
      Files.deleteIfExists(sandbox.resolve(VmmConfig.SOCKET));
    }
    assertThat(secret).hasContent("another's");
  }

  private void writeSnapshot() {
    try {
      for (String file : VmmFiles.ALL) {
        Files.deleteIfExists(sandbox.resolve(file));
        if (file.equals(VmmFiles.MEMORY)) {
          Files.write(sandbox.resolve(file), MEMORY);
        } else {
          Files.writeString(sandbox.resolve(file), file + "'s");
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void keep(String version) throws IOException {
    Path state = kept.resolve(MachineSpec.STATE);
    Files.deleteIfExists(state);
    new KeptState(version, MEMORY.length, "{}".getBytes(StandardCharsets.UTF_8), new byte[3])
        .write(state);
  }

  private Replay replay(String recording) throws IOException {
    return Replay.serve(sandbox.resolve(VmmConfig.SOCKET), Replay.recording(recording));
  }

  private static long restores(Replay replay) {
    return replay.asked().stream().filter(call -> call.endsWith("vm.restore")).count();
  }

  private NodeHelper helper() {
    return (NodeHelper)
        Proxy.newProxyInstance(
            NodeHelper.class.getClassLoader(),
            new Class<?>[] {NodeHelper.class},
            (_, method, _) -> {
              String name = method.getName();
              if (name.endsWith("Vmm")) {
                helped.add(name);
              }
              return switch (name) {
                case "startVmm" -> new ProcessId(ProcessHandle.current().pid(), 1);
                case "stopVmm" -> "";
                default -> null;
              };
            });
  }

  private static Steps steps() {
    return new Steps(System::nanoTime);
  }
}
