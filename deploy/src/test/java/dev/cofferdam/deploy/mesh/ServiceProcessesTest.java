package dev.cofferdam.deploy.mesh;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.deploy.account.Account;
import dev.cofferdam.deploy.supervise.ProcessSpec;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ServiceProcessesTest {
  private final ServiceProcesses processes = new ServiceProcesses(TestOptions.standard());

  @Test
  void aServiceGivesUpEverythingBeforeItsJvmStarts() {
    ProcessSpec broker =
        processes.service(MeshService.BROKER, new Account("cofferdam-broker", 991, 990));
    assertThat(broker.command())
        .containsSubsequence(
            "prlimit",
            "--core=0:0",
            "setpriv",
            "--reuid=991",
            "--regid=990",
            "--bounding-set=-all",
            "--no-new-privs",
            "/jdk/bin/java",
            "-cp",
            "/c/lib/1/vault-broker/*",
            "dev.cofferdam.broker.Main",
            "--config",
            "/s/broker/service.properties");
    assertThat(broker.directory()).isEqualTo(Path.of("/s/broker/data"));
    assertThat(broker.pidFile()).isEqualTo(Path.of("/s/run/vault-broker.pid"));
  }

  @Test
  void theGatewayStartsThroughTheHelperWhichDropsPrivilegesItself() {
    ProcessSpec gateway =
        processes.service(MeshService.GATEWAY, new Account("cofferdam-gateway", 992, 991));
    assertThat(gateway.command())
        .startsWith(
            "/c/bin/node-helper",
            "gateway-exec",
            "--mesh",
            "cfd",
            "--user",
            "cofferdam-gateway",
            "--",
            "/jdk/bin/java")
        .doesNotContain("setpriv");
  }

  @Test
  void noServiceLeavesItsHeapAnywhere() {
    for (MeshService service : MeshService.values()) {
      assertThat(processes.service(service, new Account("x", 5, 5)).command())
          .as(service.process())
          .contains(
              "-XX:-HeapDumpOnOutOfMemoryError",
              "-XX:+DisableAttachMechanism",
              "-XX:-CreateCoredumpOnCrash",
              "-XX:ErrorFile=/dev/null",
              "-XX:-UsePerfData");
    }
  }

  /** What a service's memory is used up by. */
  static final class Exhausting {
    private Exhausting() {}

    public static void main(String[] args) {
      List<byte[]> kept = new ArrayList<>();
      try {
        while (true) {
          kept.add(new byte[1 << 20]);
        }
      } catch (OutOfMemoryError e) {
        System.out.println("goes on with " + kept.size());
      }
    }
  }

  @Test
  void aServiceWithoutMemoryEndsAndWritesNothingOut(@TempDir Path directory) throws Exception {
    List<String> real = processes.service(MeshService.BROKER, new Account("x", 5, 5)).command();
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(real.subList(real.indexOf("/jdk/bin/java") + 1, real.indexOf("-cp")));
    // It begins smaller too.
    command.replaceAll(word -> word.startsWith("-Xmx") ? "-Xmx24m" : word);
    command.replaceAll(word -> word.startsWith("-Xms") ? "-Xms24m" : word);
    command.addAll(
        List.of("-cp", System.getProperty("java.class.path"), Exhausting.class.getName()));
    Path said = directory.resolve("said");
    Path cwd = Files.createDirectory(directory.resolve("cwd"));
    Process process =
        new ProcessBuilder(command)
            .directory(cwd.toFile())
            .redirectErrorStream(true)
            .redirectOutput(said.toFile())
            .start();
    // Of -XX:+ExitOnOutOfMemoryError.
    assertThat(process.waitFor()).as(Files.readString(said)).isEqualTo(3);
    assertThat(Files.readString(said)).contains("OutOfMemoryError").doesNotContain("goes on");
    assertThat(cwd).isEmptyDirectory();
  }

  @Test
  void aServiceInheritsNoVariableOfTheLauncher() {
    assertThat(processes.service(MeshService.NODE, new Account("x", 5, 5)).environment())
        .containsOnlyKeys("PATH", "LC_ALL");
  }
}
