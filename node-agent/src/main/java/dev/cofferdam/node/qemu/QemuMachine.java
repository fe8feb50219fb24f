package dev.cofferdam.node.qemu;

import com.fasterxml.jackson.databind.JsonNode;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.ProcessTable;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/** One QEMU process and its QMP session. */
final class QemuMachine implements Machine {
  private static final Duration COMMAND = Duration.ofSeconds(10);
  private static final Duration MIGRATION = Duration.ofSeconds(60);

  /** What a slow disk takes of a snapshot in a second. */
  private static final int MIB_A_SECOND = 32;

  private static final Duration RECONNECT = Duration.ofSeconds(5);
  private static final long LOOK_AGAIN_NANOS = 20_000_000;

  /** QEMU's qapi/run-state.json, ShutdownCause. A kernel that panics resets itself. */
  private static final Set<String> GUEST_CAUSES =
      Set.of("guest-shutdown", "guest-reset", "guest-panic");

  private final NodeHelper helper;
  private final ProcessTable processes;
  private volatile String sandbox;
  private final int slot;
  private final ProcessId process;
  private final MachineSize size;
  private volatile Path socket;
  private final UnaryOperator<Path> inJail;

  /** Its own: one VMM that does not answer closes the way to no other. */
  private final Guard guard;

  private final CompletableFuture<String> ended = new CompletableFuture<>();
  private volatile String why = "the VMM's process ended";

  /** The end of the migration under way, in either direction: true for a good one. */
  private volatile CompletableFuture<Boolean> migrated = new CompletableFuture<>();

  /** Not done while there is no session. */
  private volatile CompletableFuture<QmpClient> session = new CompletableFuture<>();

  private volatile boolean letGo;

  QemuMachine(
      NodeHelper helper,
      ProcessTable processes,
      String sandbox,
      int slot,
      ProcessId process,
      MachineSize size,
      Path socket,
      UnaryOperator<Path> inJail) {
    this.helper = helper;
    this.processes = processes;
    this.sandbox = sandbox;
    this.slot = slot;
    this.process = process;
    this.size = size;
    this.socket = socket;
    this.inJail = inJail;
    this.guard = new Guard("QEMU of " + sandbox, ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
  }

  void connect(Duration patience) {
    QmpClient client =
        QmpClient.connect(socket, patience, () -> processes.alive(process), this::onEvent);
    session.complete(client);
    if (letGo) {
      client.close();
    }
    var _ =
        client
            .closed()
            .thenRun(() -> Thread.ofVirtual().name("qmp-lost").start(this::onSessionEnd));
  }

  /** For a process that runs already: however long it takes to answer, it is not given up. */
  void connectLater() {
    Thread.ofVirtual().name("qmp-connect").start(this::reconnect);
  }

  /** Reads the devices from descriptor 5. */
  void load() {
    command(() -> {
      session().execute("migrate-set-capabilities", QemuHypervisor.ignoreShared(), COMMAND);
      // Announcing the guest to switches is for moves between hosts; a slot only drops and reports
      // it.
      session()
          .execute(
              "migrate-set-parameters", QmpClient.arguments().put("announce-rounds", 0), COMMAND);
      session().execute("migrate-incoming", QmpClient.arguments().put("uri", "fd:5"), COMMAND);
      awaitMigration("load");
      return "loaded";
    });
  }

  @Override
  public ProcessId process() {
    return process;
  }

  @Override
  public void resume() {
    command(() -> session().execute("cont", COMMAND));
  }

  @Override
  public void pause() {
    command(() -> session().execute("stop", COMMAND));
  }

  /**
   * QEMU sends nothing twice from one halt: after a snapshot the guest has to run for an instant
   * before the next.
   */
  @Override
  public void snapshot(Path target) {
    command(() -> {
      String status = session().execute("query-status", COMMAND).path("status").asText();
      if (status.equals("postmigrate")) {
        session().execute("cont", COMMAND);
        session().execute("stop", COMMAND);
      } else if (!status.equals("paused")) {
        throw new QmpRefusal("it is " + status + "; a snapshot needs it paused");
      }
      awaitNoMigration();
      session().execute("migrate-set-capabilities", QemuHypervisor.ignoreShared(), COMMAND);
      return session()
          .execute(
              "migrate-set-parameters",
              // Bytes a second: as fast as it goes. The default is for a network.
              QmpClient.arguments().put("max-bandwidth", 100_000_000_000L),
              COMMAND);
    });
    try {
      send(target);
    } catch (QmpException e) {
      throw failed(e);
    } catch (IOException e) {
      throw new MachineException("no snapshot of " + sandbox + ": " + e.getMessage(), e);
    }
  }

  /** QEMU tells of a migration's end before it has let go of what the migration held. */
  private void awaitNoMigration() {
    long began = System.nanoTime();
    while (holdsMigration() && System.nanoTime() - began < COMMAND.toNanos()) {
      LockSupport.parkNanos(LOOK_AGAIN_NANOS);
    }
  }

  private boolean holdsMigration() {
    for (JsonNode held : session().execute("query-yank", COMMAND)) {
      if (held.path("type").asText().equals("migration")) {
        return true;
      }
    }
    return false;
  }

  @Override
  public void renamed(String sandbox) {
    // The session that there is goes on; a later one finds the socket where it lies now.
    socket = directory().resolveSibling(sandbox).resolve(socket.getFileName());
    this.sandbox = sandbox;
  }

  @Override
  public void growDisk(int mib) {
    command(() ->
        session()
            .execute(
                "block_resize",
                QmpClient.arguments()
                    .put("device", QemuArguments.DISK)
                    .put("size", (long) mib << 20),
                COMMAND));
  }

  /** Outside the circuit: what fails here is more often the disk than the VMM. */
  private void send(Path target) throws IOException {
    CompletableFuture<Boolean> sent = new CompletableFuture<>();
    migrated = sent;
    Duration patience = MIGRATION.plusSeconds(size.memoryMib() / MIB_A_SECOND);
    try (MigrationReceiver receiver =
        MigrationReceiver.open(directory(), target, (long) size.memoryMib() << 20)) {
      var _ =
          sent.thenAccept(good -> {
            if (!good) {
              receiver.abort("QEMU did not send all of it");
            }
          });
      begin(sent, receiver);
      receiver.await(patience);
      awaitMigration("snapshot");
      receiver.keep();
    } finally {
      // It sees that nobody listens any more. Until then it can neither go on nor send again.
      settle(sent);
    }
  }

  private void begin(CompletableFuture<Boolean> sent, MigrationReceiver receiver) {
    try {
      session()
          .execute(
              "migrate",
              QmpClient.arguments().put("uri", "unix:" + inJail.apply(receiver.socket())),
              COMMAND);
    } catch (QmpRefusal e) {
      sent.complete(false);
      throw e;
    }
  }

  private static void settle(CompletableFuture<Boolean> migration) {
    try {
      var _ = migration.get(COMMAND.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException | TimeoutException e) {
      // Another failure is the one to tell.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private Path directory() {
    Path directory = socket.getParent();
    if (directory == null) {
      throw new IllegalStateException(socket + " has no directory");
    }
    return directory;
  }

  @Override
  public CompletionStage<String> ended() {
    return ended.minimalCompletionStage();
  }

  @Override
  public void stop() {
    letGo = true;
    var _ = helper.stopVmm(slot);
    close();
    ended.complete("stopped");
  }

  @Override
  public void close() {
    letGo = true;
    if (!session.completeExceptionally(new QmpException("let go of"))) {
      var _ = session.thenAccept(QmpClient::close);
    }
  }

  private QmpClient session() {
    try {
      return session.get(COMMAND.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new QmpException("no session", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QmpException("no session: interrupted", e);
    }
  }

  private <T> void command(Supplier<T> work) {
    try {
      Optional<QmpRefusal> refused = guard.call(() -> answered(work));
      if (refused.isPresent()) {
        throw refused.get();
      }
    } catch (QmpException e) {
      throw failed(e);
    } catch (StatusRuntimeException e) {
      throw new MachineException(String.valueOf(e.getStatus().getDescription()), e);
    }
  }

  private MachineException failed(QmpException cause) {
    return new MachineException("QEMU of " + sandbox + ": " + cause.getMessage(), cause);
  }

  /** A refusal is an answer: it says nothing against asking again. */
  private static <T> Optional<QmpRefusal> answered(Supplier<T> work) {
    try {
      var _ = work.get();
      return Optional.empty();
    } catch (QmpRefusal e) {
      return Optional.of(e);
    }
  }

  private void awaitMigration(String what) {
    try {
      if (!migrated.get(MIGRATION.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new QmpException(what + " failed");
      }
    } catch (ExecutionException | TimeoutException e) {
      throw new QmpException(what + " did not end within " + MIGRATION, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QmpException(what + ": interrupted", e);
    }
  }

  private void onEvent(String name, JsonNode data) {
    switch (name) {
      case "MIGRATION" -> onMigration(data.path("status").asText());
      case "SHUTDOWN" -> onShutdown(data.path("reason").asText());
      default -> {
        // Says nothing that is asked for.
      }
    }
  }

  private void onMigration(String status) {
    switch (status) {
      case "completed" -> migrated.complete(true);
      case "failed", "cancelled" -> migrated.complete(false);
      default -> {
        // On its way.
      }
    }
  }

  /** The process ends with it. A cause that is not known is a VMM's that was taken over. */
  private void onShutdown(String cause) {
    if (GUEST_CAUSES.contains(cause)) {
      why = "the guest ended itself: " + cause;
    }
  }

  /**
   * A session that ends is most often a process that ends, but the socket is closed a little before
   * the process is gone, and QEMU also drops a session that sent rubbish.
   */
  private void onSessionEnd() {
    migrated.complete(false);
    session = new CompletableFuture<>();
    reconnect();
  }

  private void reconnect() {
    while (!letGo) {
      if (!processes.alive(process)) {
        session.completeExceptionally(new QmpException("the VMM's process ended"));
        ended.complete(why);
        return;
      }
      try {
        connect(RECONNECT);
        return;
      } catch (QmpException e) {
        LockSupport.parkNanos(LOOK_AGAIN_NANOS);
      }
    }
    session.completeExceptionally(new QmpException("let go of"));
  }
}
