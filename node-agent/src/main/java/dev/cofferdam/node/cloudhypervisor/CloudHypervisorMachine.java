package dev.cofferdam.node.cloudhypervisor;

import dev.cofferdam.node.cloudhypervisor.EventFile.Event;
import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.machine.Machine;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.ProcessTable;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One Cloud Hypervisor process and its machine. */
final class CloudHypervisorMachine implements Machine {
  private static final Logger log = LoggerFactory.getLogger(CloudHypervisorMachine.class);

  /**
   * What a guest does to itself that ends its sandbox: no machine of ours starts anew by itself.
   */
  private static final Set<Event> ENDS =
      Set.of(
          new Event("vm", "rebooting"),
          new Event("vm", "shutdown"),
          new Event("vm", "deleted"),
          new Event("guest", "panic"));

  private static final Duration CONNECT = Duration.ofSeconds(5);

  /**
   * How often the events are looked at, which nothing announces: a file that did not grow costs a
   * stat.
   */
  private static final long LOOK_MILLIS = 500;

  private static final long LOOK_AGAIN_NANOS = 20_000_000;

  /** While a restored machine's memory is still being read in, it can not be snapshotted. */
  private static final String RESTORING = "on-demand memory restore is still in progress";

  private static final long RESTORING_NANOS = 100_000_000;

  private final NodeHelper helper;
  private final ProcessTable processes;
  private final UnixHttp http;
  private final CloudHypervisorClient client;
  private volatile String sandbox;
  private final int slot;
  private final ProcessId process;
  private volatile Path directory;
  private final CompletableFuture<String> ended = new CompletableFuture<>();

  /** Said when the process is gone. */
  private volatile String why = "the VMM's process ended";

  private volatile boolean letGo;

  CloudHypervisorMachine(
      NodeHelper helper,
      ProcessTable processes,
      UnixHttp http,
      String sandbox,
      int slot,
      ProcessId process,
      Path directory) {
    this.helper = helper;
    this.processes = processes;
    this.http = http;
    this.sandbox = sandbox;
    this.slot = slot;
    this.process = process;
    this.directory = directory;
    this.client = new CloudHypervisorClient(http, this::socket, "Cloud Hypervisor of " + sandbox);
  }

  /**
   * Returns once the API answers.
   *
   * @return which Cloud Hypervisor it is
   */
  ApiVersion connect(Duration patience) {
    long end = System.nanoTime() + patience.toNanos();
    while (true) {
      try {
        return ApiVersion.parse(client.version());
      } catch (ApiUnreached e) {
        if (!processes.alive(process)) {
          throw new ApiException("Cloud Hypervisor ended before it answered", e);
        }
        if (System.nanoTime() >= end || Thread.currentThread().isInterrupted()) {
          throw new ApiException("Cloud Hypervisor did not answer within " + patience, e);
        }
        LockSupport.parkNanos(LOOK_AGAIN_NANOS);
      }
    }
  }

  /** From now on the end of the process, and of the guest, is noticed. */
  void attend() {
    Thread.ofVirtual().name("ch-watch-" + slot).start(this::watchProcess);
    Thread.ofVirtual().name("ch-events-" + slot).start(this::watchEvents);
  }

  CloudHypervisorClient client() {
    return client;
  }

  VmmFiles files() {
    return new VmmFiles(directory);
  }

  @Override
  public ProcessId process() {
    return process;
  }

  @Override
  public void resume() {
    command(() -> {
      switch (client.state()) {
        case "Created" -> client.boot();
        case "Running" -> {}
        default -> client.resume();
      }
    });
  }

  @Override
  public void pause() {
    command(() -> {
      switch (client.state()) {
        case "Created", "Paused" -> {}
        default -> client.pause();
      }
    });
  }

  @Override
  public void snapshot(Path target) {
    command(() -> {
      String state = client.state();
      if (!state.equals("Paused")) {
        throw new MachineException(
            "%s is %s; a snapshot needs it paused".formatted(sandbox, state));
      }
      try {
        VmmFiles.requireFree(target);
        files().clear();
        snapshotOnceRestored(System.nanoTime() + CloudHypervisor.MEMORY.toNanos());
        // They are its user's alone until then.
        helper.prepareSandbox(slot, sandbox, VmmFiles.ALL);
        files().keep(client.ping().text(), target);
      } catch (IOException e) {
        throw new MachineException("no snapshot of %s: %s".formatted(sandbox, e), e);
      } finally {
        tidy();
      }
    });
  }

  private void tidy() {
    try {
      files().clear();
    } catch (IOException e) {
      // The next snapshot says so; the sandbox's end removes them.
      log.atWarn().setMessage("files_not_deleted").addKeyValue("name", sandbox).setCause(e).log();
    }
  }

  /** A machine whose memory is still being read in says so: it is asked again until it is. */
  private void snapshotOnceRestored(long end) {
    while (true) {
      try {
        client.snapshot("/sandbox", CloudHypervisor.MEMORY);
        return;
      } catch (ApiRefusal e) {
        if (!String.valueOf(e.getMessage()).contains(RESTORING) || System.nanoTime() >= end) {
          throw e;
        }
        LockSupport.parkNanos(RESTORING_NANOS);
      }
    }
  }

  @Override
  public void renamed(String sandbox) {
    // What is open goes on; what is opened later lies there now.
    directory = directory.resolveSibling(sandbox);
    this.sandbox = sandbox;
  }

  @Override
  public void growDisk(int mib) {
    command(() -> client.resizeDisk(VmmConfig.DISK, (long) mib << 20));
  }

  @Override
  public CompletionStage<String> ended() {
    return ended.minimalCompletionStage();
  }

  @Override
  public void stop() {
    letGo = true;
    var _ = helper.stopVmm(slot);
    ended.complete("stopped");
  }

  @Override
  public void close() {
    letGo = true;
  }

  private Path socket() {
    return directory.resolve(VmmConfig.SOCKET);
  }

  private void command(Runnable work) {
    if (letGo) {
      throw new MachineException("Cloud Hypervisor of " + sandbox + ": let go of");
    }
    try {
      work.run();
    } catch (ApiException | HelperException e) {
      throw new MachineException("Cloud Hypervisor of " + sandbox + ": " + e.getMessage(), e);
    }
  }

  /**
   * A connection that nothing is said on ends with the process. It may also end otherwise, and the
   * process may be too busy for a new one.
   */
  private void watchProcess() {
    while (!letGo && processes.alive(process)) {
      try (UnixHttp.Connection connection = http.watch(socket(), CONNECT)) {
        awaitEnd(connection);
      } catch (IOException | TimeoutException | ApiException e) {
        LockSupport.parkNanos(LOOK_AGAIN_NANOS);
      }
    }
    if (!letGo) {
      ended.complete(why);
    }
  }

  private void awaitEnd(UnixHttp.Connection connection) {
    CompletableFuture<Void> closed = connection.closed().toCompletableFuture();
    while (!letGo) {
      try {
        var _ = closed.get(LOOK_MILLIS, TimeUnit.MILLISECONDS);
        // The socket is closed a little before the process is gone.
        LockSupport.parkNanos(LOOK_AGAIN_NANOS);
        return;
      } catch (TimeoutException e) {
        // It lives.
      } catch (ExecutionException e) {
        return;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private void watchEvents() {
    EventFile events = new EventFile(() -> directory.resolve(VmmConfig.EVENTS));
    while (!letGo && processes.alive(process)) {
      try {
        for (Event event : events.next()) {
          if (ENDS.contains(event)) {
            end("the guest ended itself: " + event.name());
            return;
          }
        }
      } catch (IOException e) {
        end(String.valueOf(e.getMessage()));
        return;
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(LOOK_MILLIS));
    }
  }

  private void end(String reason) {
    if (letGo || !processes.alive(process)) {
      // The directory with its events may be a later machine's.
      return;
    }
    why = reason;
    try {
      // By now the slot may be a later machine's.
      helper.stopVmm(slot, process);
      ended.complete(reason);
    } catch (HelperException e) {
      // The process is watched all the same; the helper is asked again at the sandbox's end.
      log.atWarn()
          .setMessage("vmm_not_stopped")
          .addKeyValue("sandbox", sandbox)
          .addKeyValue("why", reason)
          .setCause(e)
          .log();
    }
  }
}
