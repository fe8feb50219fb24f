package dev.cofferdam.deploy.mesh;

import dev.cofferdam.deploy.account.Account;
import dev.cofferdam.deploy.account.Commands;
import dev.cofferdam.deploy.account.OwnedFiles;
import dev.cofferdam.deploy.authority.MeshAuthority;
import dev.cofferdam.deploy.mesh.ServiceSettings.DatabaseLogin;
import dev.cofferdam.deploy.postgres.PostgresBinaries;
import dev.cofferdam.deploy.postgres.PostgresServer;
import dev.cofferdam.deploy.supervise.Backoff;
import dev.cofferdam.deploy.supervise.ProcessSpec;
import dev.cofferdam.deploy.supervise.ProcessState;
import dev.cofferdam.deploy.supervise.Readiness;
import dev.cofferdam.deploy.supervise.Supervised;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * One mesh on this machine: PostgreSQL, the node-helper and the five services, each under its own
 * user, kept alive until closed. Needs root. Closing ends the sandboxes too.
 */
public final class Mesh implements AutoCloseable {
  /** The first start boots a template in software emulation. */
  private static final Duration READY_LIMIT = Duration.ofMinutes(3);

  private static final Set<String> MESH_SERVICES =
      Arrays.stream(MeshService.values()).map(MeshService::process).collect(Collectors.toSet());

  private static final String HELPER = "node-helper";

  private static final Duration DATABASE_LIMIT = Duration.ofSeconds(60);

  /** Of sysexits(3), as every service ends then: starting it again changes nothing. */
  private static final String CONFIG_UNUSABLE = "exit code 78";

  private final MeshOptions options;
  private final MeshLayout layout;
  private final LauncherLog log;
  private final InstantSource clock;
  private final SecureRandom random;
  private final CountDownLatch stopping;
  private final Deque<Supervised> processes = new ArrayDeque<>();
  private final Map<MeshService, Account> accounts = new EnumMap<>(MeshService.class);

  private volatile @Nullable String hopeless;

  /** Counting {@code stopping} down ends every wait of {@link #start}. */
  public Mesh(
      MeshOptions options,
      LauncherLog log,
      InstantSource clock,
      SecureRandom random,
      CountDownLatch stopping) {
    this.options = options;
    this.layout = options.layout();
    this.log = log;
    this.clock = clock;
    this.random = random;
    this.stopping = stopping;
  }

  /** Returns once every service is ready and the default tenant is known. */
  public void start() throws IOException, InterruptedException {
    for (Optional<Path> file : List.of(options.upstreamCa(), options.hosts())) {
      if (file.isPresent() && !Files.isReadable(file.get())) {
        throw new IOException("cannot read " + file.get());
      }
    }
    Strays.stop(layout);
    ServiceProcesses commands = new ServiceProcesses(options);
    for (MeshService service : MeshService.values()) {
      accounts.put(service, Account.ensure(service.user()));
    }
    makeDirectories();
    MeshIdentities identities =
        new MeshIdentities(layout, MeshAuthority.openOrCreate(layout.authority(), random, clock));
    identities.issueAll(groups());
    MeshFacts.of(options).write(layout.facts());
    Account agent = account(MeshService.NODE);
    OwnedFiles.write(
        layout.helperConfig(),
        new ServiceSettings(options).helper(agent.uid(), agent.gid()),
        "rw-r--r--");
    keep(commands.helper());

    PostgresServer postgres = startPostgres();
    writeSettings(postgres);
    for (MeshService service : MeshService.values()) {
      keep(commands.service(service, account(service)));
    }
    awaitReady();
    new DefaultTenant(layout.tokens(), new OperatorChannels(layout, options.ports()), random)
        .ensure();
    Thread renewal = Thread.ofVirtual().name("renewal").unstarted(() -> renew(identities));
    renewal.start();
  }

  private Optional<String> hopeless() {
    return Optional.ofNullable(hopeless);
  }

  private void makeDirectories() throws IOException {
    OwnedFiles.directory(layout.authority(), "rwxr-xr-x");
    OwnedFiles.directory(layout.logs(), "rwxr-x---");
    for (MeshService service : MeshService.values()) {
      Account account = account(service);
      OwnedFiles.directory(layout.home(service), "rwxr-x---", 0, account.gid());
      OwnedFiles.directory(layout.data(service), "rwx------", account.uid(), account.gid());
      OwnedFiles.directory(layout.temporary(service), "rwx------", account.uid(), account.gid());
    }
    Account agent = account(MeshService.NODE);
    OwnedFiles.directory(layout.sandboxes(), "rwxr-x---", agent.uid(), agent.gid());
    OwnedFiles.directory(layout.volumes(), "rwxr-x---", agent.uid(), agent.gid());
    OwnedFiles.directory(layout.madeImages(), "rwxr-x---", agent.uid(), agent.gid());
    OwnedFiles.directory(layout.imageFiles(), "rwxr-x---", 0, agent.gid());
    OwnedFiles.directory(layout.kernels(), "rwxr-x---", 0, agent.gid());
    OwnedFiles.directory(
        options.cache().resolve("templates"), "rwxr-xr-x", agent.uid(), agent.gid());
    for (MeshService outgoing : List.of(MeshService.GATEWAY, MeshService.BROKER)) {
      copy(options.upstreamCa(), layout.upstreamCa(outgoing));
      copy(options.hosts(), layout.hosts(outgoing));
    }
  }

  /** The service's user may not be able to read where the operator keeps the file. */
  private void copy(Optional<Path> from, Path to) throws IOException {
    if (from.isPresent()) {
      Files.copy(from.get(), to, StandardCopyOption.REPLACE_EXISTING);
      Files.setPosixFilePermissions(
          to, java.nio.file.attribute.PosixFilePermissions.fromString("rw-r--r--"));
    } else {
      Files.deleteIfExists(to);
    }
  }

  private PostgresServer startPostgres() throws IOException, InterruptedException {
    Account account = Account.ensure("cofferdam-postgres");
    PostgresServer postgres =
        new PostgresServer(
            PostgresBinaries.find(
                Path.of("/usr/lib/postgresql"),
                options.cache(),
                PostgresServer.existingVersion(layout.postgres())),
            layout.postgres(),
            layout.passwords(),
            account,
            options.ports().postgres());
    Instant begin = clock.instant();
    postgres.prepare(roles(), random);
    keep(postgres.process(layout.log("postgres"), layout.pidFile("postgres")));
    postgres.makeDatabases(roles(), random, clock, stopping, DATABASE_LIMIT);
    tellReady("postgres", begin);
    return postgres;
  }

  private static List<String> roles() {
    return List.of(MeshService.SCHEDULER.role(), MeshService.BROKER.role());
  }

  private void writeSettings(PostgresServer postgres) throws IOException {
    ServiceSettings settings = new ServiceSettings(options);
    for (MeshService service : MeshService.values()) {
      DatabaseLogin login =
          switch (service) {
            case SCHEDULER, BROKER -> login(postgres, service);
            case NODE, GATEWAY, EDGE -> DatabaseLogin.NONE;
          };
      OwnedFiles.write(
          layout.settings(service),
          ServiceSettings.text(settings.of(service, login)),
          "rw-r-----",
          account(service).gid());
    }
  }

  private DatabaseLogin login(PostgresServer postgres, MeshService service) throws IOException {
    Path passwordFile = layout.home(service).resolve("database.password");
    OwnedFiles.write(
        passwordFile,
        postgres.password(service.role(), random),
        "rw-r-----",
        account(service).gid());
    return new DatabaseLogin(postgres.url(service.role()), service.role(), passwordFile);
  }

  private void awaitReady() throws IOException, InterruptedException {
    Instant begin = clock.instant();
    try (Readiness readiness = new Readiness(clock, stopping)) {
      // Each waits for those it needs: the node for all of them.
      for (MeshService service :
          List.of(
              MeshService.BROKER,
              MeshService.SCHEDULER,
              MeshService.GATEWAY,
              MeshService.NODE,
              MeshService.EDGE)) {
        URI readyz = URI.create("http://127.0.0.1:" + adminPort(service) + "/readyz");
        readiness.await(service.process(), readyz, READY_LIMIT, this::hopeless);
        tellReady(service.process(), begin);
      }
    }
  }

  private int adminPort(MeshService service) {
    return switch (service) {
      case SCHEDULER -> options.ports().schedulerAdmin();
      case NODE -> options.ports().nodeAdmin();
      case GATEWAY -> options.ports().gatewayAdmin();
      case BROKER -> options.ports().brokerAdmin();
      case EDGE -> options.ports().edgeAdmin();
    };
  }

  private void tellReady(String process, Instant begin) {
    Duration took = Duration.between(begin, clock.instant());
    log.say("  %-16s ready after %.1f s".formatted(process, took.toMillis() / 1000.0));
  }

  private void keep(ProcessSpec spec) {
    processes.push(
        Supervised.start(spec, Backoff.STANDARD, clock, state -> changed(spec.name(), state)));
  }

  private void changed(String process, ProcessState state) {
    switch (state) {
      case ProcessState.Running running ->
          log.record("process_started", Map.of("process", process, "pid", running.pid()));
      case ProcessState.Waiting waiting -> {
        if (waiting.cause().equals(CONFIG_UNUSABLE)) {
          hopeless = process + " cannot use its configuration; its log: " + layout.log(process);
        } else if (waiting.pause().equals(Backoff.STANDARD.longest())) {
          hopeless =
              "%s keeps ending (%s); its log: %s"
                  .formatted(process, waiting.cause(), layout.log(process));
        }
        log.record(
            "process_ended",
            Map.of(
                "process",
                process,
                "cause",
                waiting.cause(),
                "restart_in_ms",
                waiting.pause().toMillis()));
        if (waiting.pause().equals(Backoff.STANDARD.first())) {
          // Once is news; the record has every time.
          log.say("  %-16s ended (%s), starting again".formatted(process, waiting.cause()));
        }
      }
      case ProcessState.Stopped _ -> log.record("process_stopped", Map.of("process", process));
    }
  }

  private void renew(MeshIdentities identities) {
    try {
      while (!stopping.await(MeshIdentities.RENEWAL.toSeconds(), TimeUnit.SECONDS)) {
        try {
          identities.issueAll(groups());
          log.record("certificates_renewed", Map.of());
        } catch (IOException e) {
          log.record("certificates_not_renewed", Map.of("cause", String.valueOf(e.getMessage())));
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private Map<MeshService, Integer> groups() {
    Map<MeshService, Integer> groups = new EnumMap<>(MeshService.class);
    accounts.forEach((service, account) -> groups.put(service, account.gid()));
    return groups;
  }

  private Account account(MeshService service) {
    Account account = accounts.get(service);
    if (account == null) {
      throw new IllegalStateException("no account yet for " + service);
    }
    return account;
  }

  /**
   * Stops the services, then the helper and PostgreSQL. VMs end in between where the stop was
   * ordered; a start that failed leaves those of an earlier launcher as they are.
   */
  @Override
  public void close() {
    boolean ordered = stopping.getCount() == 0;
    stopping.countDown();
    // Services were started last and stop first, all at once: none needs another to end.
    stop(MESH_SERVICES);
    // The helper serves until no service needs it, and must be gone before its work is undone.
    stop(Set.of(HELPER));
    try {
      if (ordered && Files.exists(layout.helperConfig())) {
        Commands.run(new ServiceProcesses(options).teardown());
      }
    } catch (IOException e) {
      log.record("teardown_failed", Map.of("cause", String.valueOf(e.getMessage())));
      log.say("  teardown: " + e.getMessage());
    }
    processes.forEach(Supervised::close);
  }

  private void stop(Set<String> names) {
    processes.stream().filter(process -> names.contains(process.name())).toList().parallelStream()
        .forEach(Supervised::close);
  }
}
