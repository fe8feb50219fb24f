package dev.cofferdam.deploy.mesh;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.deploy.account.Account;
import dev.cofferdam.deploy.supervise.ProcessSpec;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

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

  @Test
  void aServiceInheritsNoVariableOfTheLauncher() {
    assertThat(processes.service(MeshService.NODE, new Account("x", 5, 5)).environment())
        .containsOnlyKeys("PATH", "LC_ALL");
  }
}
