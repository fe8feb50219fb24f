package dev.cofferdam.node.qemu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.fake.Acts;
import dev.cofferdam.node.fake.FakeHelper;
import dev.cofferdam.node.fake.Kernel;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.ProcessId;
import dev.cofferdam.node.machine.ProcessTable;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a VMM that was taken over, or has gone mad. */
class QemuMachineTest {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  @TempDir Path directory;
  private final AtomicInteger commands = new AtomicInteger();

  /** By what it is asked; empty is none. */
  private volatile UnaryOperator<String> answering = _ -> "";

  private ServerSocketChannel listener;

  @BeforeEach
  void listen() throws IOException {
    listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(UnixDomainSocketAddress.of(directory.resolve("qmp.sock")));
    Thread.ofVirtual().start(this::serve);
  }

  @AfterEach
  void close() throws IOException {
    listener.close();
  }

  @Test
  void aVmmThatDoesNotAnswerIsSoonAskedNoMore() {
    QemuMachine machine = connected("sb-silent");
    List<String> failures = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      assertThatThrownBy(machine::pause)
          .isInstanceOfSatisfying(
              MachineException.class, e -> failures.add(String.valueOf(e.getMessage())));
    }
    assertThat(failures).anyMatch(text -> text.contains("sb-silent did not answer lately"));
    assertThat(commands).hasValueLessThan(20);
    machine.close();
  }

  @Test
  void whatItRefusesIsAnAnswerAndTheNextVmmHasACircuitOfItsOwn() {
    answering = _ -> refusal("not now");
    QemuMachine machine = connected("sb-refusing");
    for (int i = 0; i < 7; i++) {
      assertThatThrownBy(machine::pause)
          .isInstanceOf(MachineException.class)
          .hasMessageContaining("not now");
    }
    assertThat(commands).hasValue(7);
    machine.close();
  }

  @Test
  void aSnapshotWaitsUntilQemuHasLetGoOfTheMigrationBeforeIt() {
    AtomicInteger looks = new AtomicInteger();
    answering =
        line -> {
          if (line.contains("\"query-yank\"")) {
            return looks.incrementAndGet() < 3
                ? "{\"return\":[{\"type\":\"chardev\"},{\"type\":\"migration\"}],\"id\":%s}"
                : "{\"return\":[{\"type\":\"chardev\"}],\"id\":%s}";
          }
          if (line.contains("\"migrate\"")) {
            return refusal(looks.get() < 3 ? "duplicate yank instance" : "now it may");
          }
          return "{\"return\":{\"status\":\"paused\"},\"id\":%s}";
        };
    QemuMachine machine = connected("sb-slow");
    assertThatThrownBy(() -> machine.snapshot(directory.resolve("kept")))
        .isInstanceOf(MachineException.class)
        .hasMessageContaining("now it may");
    machine.close();
  }

  private static String refusal(String why) {
    return "{\"error\":{\"class\":\"GenericError\",\"desc\":\"" + why + "\"},\"id\":%s}";
  }

  private QemuMachine connected(String sandbox) {
    ProcessId process = new ProcessId(ProcessHandle.current().pid(), 1);
    ProcessTable alive = asked -> true;
    QemuMachine machine =
        new QemuMachine(
            new FakeHelper(new Kernel(), new Acts(), directory, start -> process),
            alive,
            sandbox,
            1,
            process,
            new MachineSize(1, 128, 64),
            directory.resolve("qmp.sock"),
            path -> path);
    machine.connect(PATIENCE);
    return machine;
  }

  private void serve() {
    while (listener.isOpen()) {
      try (SocketChannel session = listener.accept()) {
        converse(session);
      } catch (IOException e) {
        // The session's end, or the listener's.
      }
    }
  }

  /** Without an answer to give it hangs up. */
  private void converse(SocketChannel session) throws IOException {
    send(session, "{\"QMP\":{}}");
    BufferedReader lines = new BufferedReader(Channels.newReader(session, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String id = line.replaceAll(".*\"id\":(\\d+).*", "$1");
      if (line.contains("qmp_capabilities")) {
        send(session, "{\"return\":{},\"id\":" + id + "}");
      } else {
        commands.incrementAndGet();
        String answer = answering.apply(line);
        if (answer.isEmpty()) {
          return;
        }
        send(session, answer.formatted(id));
      }
    }
  }

  private static void send(SocketChannel session, String line) throws IOException {
    session.write(ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8)));
  }
}
