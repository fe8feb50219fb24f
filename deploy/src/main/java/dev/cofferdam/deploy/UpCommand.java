package dev.cofferdam.deploy;

import dev.cofferdam.deploy.account.OwnedFiles;
import dev.cofferdam.deploy.mesh.LauncherLog;
import dev.cofferdam.deploy.mesh.Mesh;
import dev.cofferdam.deploy.mesh.MeshLayout;
import dev.cofferdam.deploy.mesh.MeshOptions;
import dev.cofferdam.deploy.mesh.MeshPorts;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "up",
    mixinStandardHelpOptions = true,
    description = "Starts the mesh as separate processes under separate users, and keeps it alive.")
final class UpCommand implements Callable<Integer> {
  /** The line by which a detached launcher tells that all is ready. */
  static final String READY = "ready";

  @Mixin private StateOption state = new StateOption();

  @Option(names = "--mesh", paramLabel = "NAME", description = "Prefix of network namespaces.")
  private String mesh = "cfd";

  @Option(names = "--port-base", paramLabel = "PORT", description = "First port. Default: 7400.")
  private int portBase = MeshPorts.STANDARD.base();

  @Option(names = "--detach", description = "Return when the mesh is ready.")
  private boolean detach;

  @Option(
      names = "--upstream-ca",
      paramLabel = "FILE",
      description =
          "PEM bundle that gateway and broker trust beside the system's, for hosts outside.")
  private @Nullable Path upstreamCa;

  @Option(
      names = "--hosts",
      paramLabel = "FILE",
      description = "hosts(5) file: pins names to addresses for gateway and broker.")
  private @Nullable Path hosts;

  @Option(
      names = "--set",
      paramLabel = "SERVICE.KEY=VALUE",
      description = "A service's setting: scheduler., broker., node. or gateway. and its key.")
  private Map<String, String> overrides = new HashMap<>();

  @Override
  public Integer call() throws IOException, InterruptedException {
    MeshLayout layout = state.layout();
    OwnedFiles.directory(layout.state(), "rwxr-xr-x");
    OwnedFiles.directory(layout.run(), "rwxr-xr-x");
    OwnedFiles.directory(layout.logs(), "rwxr-x---");
    return detach ? Detached.start(layout.log("launcher-errors")) : run(options(layout));
  }

  private MeshOptions options(MeshLayout layout) {
    String binary = System.getenv("COFFERDAM_CLOUD_HYPERVISOR");
    if (binary != null) {
      overrides.putIfAbsent("node.cloud-hypervisor.binary", binary);
    }
    return new MeshOptions(
        layout,
        mesh,
        new MeshPorts(portBase),
        Path.of(System.getenv().getOrDefault("COFFERDAM_CACHE", "/var/cache/cofferdam")),
        required("COFFERDAM_LIB"),
        required("COFFERDAM_HELPER"),
        required("COFFERDAM_IMAGE"),
        Path.of(System.getProperty("java.home")),
        Optional.ofNullable(upstreamCa),
        Optional.ofNullable(hosts),
        overrides);
  }

  private static Path required(String variable) {
    String value = System.getenv(variable);
    if (value == null) {
      throw new IllegalStateException(variable + " is not set: start this by ./cofferdam up");
    }
    return Path.of(value);
  }

  private static int run(MeshOptions options) throws IOException, InterruptedException {
    MeshLayout layout = options.layout();
    CountDownLatch stopping = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    InstantSource clock = InstantSource.system();
    LauncherLog log = new LauncherLog(layout.log("launcher"), System.out, clock);
    try (FileChannel channel =
            FileChannel.open(
                layout.run().resolve("launcher.lock"),
                StandardOpenOption.CREATE,
                StandardOpenOption.WRITE);
        FileLock lock = channel.tryLock()) {
      if (lock == null) {
        throw new IOException("a mesh runs in %s already".formatted(layout.state()));
      }
      OwnedFiles.write(
          layout.pidFile("launcher"), ProcessHandle.current().pid() + "\n", "rw-r--r--");
      Runtime.getRuntime().addShutdownHook(new Thread(() -> awaitStop(stopping, stopped)));
      try (Mesh running = new Mesh(options, log, clock, new SecureRandom(), stopping)) {
        running.start();
        tellEndpoints(options, log);
        log.say(READY);
        stopping.await();
      } finally {
        Files.deleteIfExists(layout.pidFile("launcher"));
      }
    } finally {
      stopped.countDown();
    }
    return 0;
  }

  /** The hook of SIGTERM and SIGINT: the JVM ends when it returns. */
  private static void awaitStop(CountDownLatch stopping, CountDownLatch stopped) {
    stopping.countDown();
    try {
      stopped.await();
    } catch (InterruptedException e) {
      throw new UncheckedIOException(new IOException("interrupted while stopping", e));
    }
  }

  private static void tellEndpoints(MeshOptions options, LauncherLog log) {
    log.say(
        """

          API      %s
          broker   %s (secrets, audit)
          CA       %s
          tokens   %s/{api,secrets}
          logs     %s
          clients  eval "$(./cofferdam env --state %s)"
        """
            .formatted(
                options.ports().schedulerAddress(),
                options.ports().brokerTenantsAddress(),
                options.layout().authorityCertificate(),
                options.layout().tokens(),
                options.layout().logs(),
                options.layout().state()));
  }
}
