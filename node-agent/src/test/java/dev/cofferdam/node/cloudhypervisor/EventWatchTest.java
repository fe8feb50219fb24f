package dev.cofferdam.node.cloudhypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.helper.NodeHelper;
import dev.cofferdam.node.machine.ProcessId;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a guest does to itself ends its VMM, and no other: by the time it is read, slot and
 * directory may be a later machine's.
 */
class EventWatchTest {
  private static final int SLOT = 7;
  private static final ProcessId PROCESS = new ProcessId(2, 1);

  @TempDir Path root;
  private final UnixHttp http = new UnixHttp();
  private final ConcurrentLinkedQueue<Object> stopped = new ConcurrentLinkedQueue<>();
  private volatile boolean gone;

  /** Runs once the watcher of events has seen that the process lives, before it reads. */
  private volatile Runnable meanwhile = () -> {};

  private final AtomicInteger looks = new AtomicInteger();
  private final CountDownLatch lookedAgain = new CountDownLatch(2);

  @AfterEach
  void close() {
    gone = true;
    http.close();
  }

  @Test
  void aGuestThatShutsDownEndsItsVmm() throws Exception {
    CloudHypervisorMachine machine = machine();
    meanwhile = this::reportShutdown;
    machine.attend();
    assertThat(machine.ended().toCompletableFuture().get(30, TimeUnit.SECONDS))
        .isEqualTo("the guest ended itself: shutdown");
    assertThat(stopped)
        .as("its process alone: the slot may have passed on since the event was read")
        .containsExactly(List.of(SLOT, PROCESS));
  }

  @Test
  void whatIsReadOnceTheProcessIsGoneStopsNobody() throws Exception {
    CloudHypervisorMachine machine = machine();
    meanwhile =
        () -> {
          gone = true;
          reportShutdown();
        };
    machine.attend();
    assertThat(machine.ended().toCompletableFuture().get(30, TimeUnit.SECONDS))
        .isEqualTo("the VMM's process ended");
    assertThat(lookedAgain.await(30, TimeUnit.SECONDS)).as("asked before it is acted on").isTrue();
    assertThat(stopped).isEmpty();
  }

  private CloudHypervisorMachine machine() throws IOException {
    Path directory = Files.createDirectory(root.resolve("sb-a"));
    return new CloudHypervisorMachine(
        helper(), this::alive, http, "sb-a", SLOT, PROCESS, directory);
  }

  /** Two watchers ask; the story is that of one. */
  private boolean alive(ProcessId process) {
    if (!Thread.currentThread().getName().startsWith("ch-events")) {
      return !gone;
    }
    if (looks.getAndIncrement() == 0) {
      lookedAgain.countDown();
      meanwhile.run();
      return true;
    }
    boolean lives = !gone;
    lookedAgain.countDown();
    return lives;
  }

  private void reportShutdown() {
    try {
      Files.writeString(
          root.resolve("sb-a").resolve(VmmConfig.EVENTS),
          "{\"source\": \"vm\", \"event\": \"shutdown\"}\n\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private NodeHelper helper() {
    return (NodeHelper)
        Proxy.newProxyInstance(
            NodeHelper.class.getClassLoader(),
            new Class<?>[] {NodeHelper.class},
            (_, method, arguments) -> {
              if (method.getName().equals("stopVmm")) {
                stopped.add(List.of(arguments));
              }
              return null;
            });
  }
}
