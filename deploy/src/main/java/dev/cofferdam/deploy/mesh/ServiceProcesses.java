package dev.cofferdam.deploy.mesh;

import dev.cofferdam.deploy.account.Account;
import dev.cofferdam.deploy.supervise.ProcessSpec;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The command lines of a mesh's processes. Pure. */
public record ServiceProcesses(MeshOptions options) {
  private static final Map<String, String> ENVIRONMENT =
      Map.of("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL", "C.UTF-8");

  /**
   * For those that see values: what native code frees is overwritten, so that no copy of a
   * library's (a TLS record, say) outlives its use. Measured by the broker's search of its own
   * memory.
   */
  private static final Map<String, String> FREED_MEMORY_IS_OVERWRITTEN =
      Map.of("GLIBC_TUNABLES", "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0");

  public ProcessSpec helper() {
    return spec(
        "node-helper",
        List.of(
            options.helper().toString(),
            "serve",
            "--config",
            options.layout().helperConfig().toString()),
        ENVIRONMENT,
        options.layout().run());
  }

  public List<String> teardown() {
    return List.of(
        options.helper().toString(),
        "teardown",
        "--config",
        options.layout().helperConfig().toString());
  }

  public ProcessSpec service(MeshService service, Account account) {
    List<String> command =
        switch (service) {
          case SCHEDULER, NODE, BROKER, EDGE -> account.asThisUser(java(service));
          // The helper makes the gateway's sockets and drops privileges by itself.
          case GATEWAY -> {
            List<String> words =
                new ArrayList<>(
                    List.of(
                        options.helper().toString(),
                        "gateway-exec",
                        "--mesh",
                        options.mesh(),
                        "--user",
                        account.name(),
                        "--"));
            words.addAll(java(service));
            yield words;
          }
        };
    return spec(service.process(), command, environment(service), options.layout().data(service));
  }

  private static Map<String, String> environment(MeshService service) {
    Map<String, String> environment = new HashMap<>(ENVIRONMENT);
    switch (service) {
      case BROKER, GATEWAY, EDGE -> environment.putAll(FREED_MEMORY_IS_OVERWRITTEN);
      case SCHEDULER, NODE -> {
        // No value ever passes here.
      }
    }
    return environment;
  }

  private List<String> java(MeshService service) {
    return List.of(
        options.java().resolve("bin/java").toString(),
        // By default a machine's memory decides where it begins, and all of it is in use soon.
        "-Xms" + service.heapMib() / 4 + "m",
        "-Xmx" + service.heapMib() + "m",
        // A third of that small beginning would be full of a second's requests several times.
        "-XX:NewSize=" + service.heapMib() / 8 + "m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=" + compilers(service),
        "-XX:+ExitOnOutOfMemoryError",
        // Nothing may write out, or let another process read, what the heap holds.
        "-XX:-HeapDumpOnOutOfMemoryError",
        "-XX:+DisableAttachMechanism",
        "-XX:-UsePerfData",
        "-XX:-CreateCoredumpOnCrash",
        "-XX:ErrorFile=/dev/null",
        "-Djava.io.tmpdir=" + options.layout().temporary(service),
        // It would take the stack of one buffer in 128, to tell of a leak that tests are for: of a
        // request in ten or so.
        "-Dio.netty.leakDetection.level=disabled",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "-cp",
        options.lib().resolve(service.process()) + "/*",
        service.mainClass(),
        "--config",
        options.layout().settings(service).toString());
  }

  /**
   * A mesh of one machine is started often and shares few processors with its sandboxes. What
   * decides a few times a second is better compiled soon (measured: ready in half the time, a
   * create a sixth faster after fifty of them); what looks through bytes and seals them, well. The
   * edge only carries them: compiled well it took 35 MB more, and its SDKs saw no difference.
   */
  private static int compilers(MeshService service) {
    return switch (service) {
      case SCHEDULER, NODE, EDGE -> 1;
      case GATEWAY, BROKER -> 4;
    };
  }

  private ProcessSpec spec(
      String name, List<String> command, Map<String, String> environment, Path directory) {
    return new ProcessSpec(
        name,
        command,
        environment,
        directory,
        options.layout().log(name),
        options.layout().pidFile(name),
        "TERM",
        Duration.ofSeconds(15));
  }
}
