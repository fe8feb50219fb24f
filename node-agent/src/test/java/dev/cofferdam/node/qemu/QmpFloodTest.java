package dev.cofferdam.node.qemu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** VMMs that were taken over say things that nobody asked for. */
class QmpFloodTest {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  @TempDir Path directory;

  /**
   * Virtual threads are given no time slices: one that always finds something to read has to let
   * others run.
   */
  @Test
  void eventsWithoutEndLeaveTimeForOthers() throws Exception {
    int floods = 2 * Runtime.getRuntime().availableProcessors();
    CountDownLatch flooding = new CountDownLatch(floods);
    List<QmpClient> clients = new ArrayList<>();
    try {
      for (int i = 0; i < floods; i++) {
        Path socket = socket(i);
        serve(socket, "{\"event\":\"STOP\"}\n".repeat(1000));
        CountDownLatch first = new CountDownLatch(1);
        clients.add(
            QmpClient.connect(
                socket,
                PATIENCE,
                () -> true,
                (event, data) -> {
                  if (first.getCount() > 0) {
                    first.countDown();
                    flooding.countDown();
                  }
                }));
      }
      assertThat(flooding.await(20, TimeUnit.SECONDS)).isTrue();
      for (int turn = 0; turn < 20; turn++) {
        CompletableFuture<Boolean> ran = new CompletableFuture<>();
        Thread.ofVirtual().start(() -> ran.complete(true));
        assertThat(ran.get(20, TimeUnit.SECONDS)).isTrue();
      }
    } finally {
      clients.forEach(QmpClient::close);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[[[[[[[[[[",
        "{\"id\":1e999}",
        "{\"event\":{}}",
        "nonsense",
        "{\"return\":{},\"id\":\"x\"}",
        "\0\0\0\0",
        "null",
        "[]",
        "1",
        "{\"QMP\":{}}",
        "{\"error\":1,\"id\":2}"
      })
  void aLineThatIsNoAnswerIsNotTakenForOne(String line) throws IOException {
    Path socket = socket(0);
    serve(socket, (line + "\n").repeat(3));
    try (QmpClient client = QmpClient.connect(socket, PATIENCE, () -> true, (event, data) -> {})) {
      assertThatThrownBy(() -> client.execute("stop", Duration.ofMillis(200)))
          .isInstanceOf(QmpException.class);
    }
  }

  /** Nesting is as deep as a line is long. */
  @Test
  void aLineThatIsNestedDeeplyEndsTheSession() throws Exception {
    Path socket = socket(0);
    serve(socket, "[".repeat(500_000) + "\n");
    try (QmpClient client = QmpClient.connect(socket, PATIENCE, () -> true, (event, data) -> {})) {
      client.closed().toCompletableFuture().get(20, TimeUnit.SECONDS);
    }
  }

  private Path socket(int number) throws IOException {
    return Files.createDirectories(directory.resolve(Integer.toString(number))).resolve("qmp.sock");
  }

  /** Greets, takes the capabilities, and from then on says one thing alone until nobody listens. */
  private static void serve(Path socket, String words) throws IOException {
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(UnixDomainSocketAddress.of(socket));
    Thread.ofPlatform()
        .daemon()
        .start(() -> {
          try (listener;
              SocketChannel session = listener.accept()) {
            say(session, "{\"QMP\":{}}\n");
            session.read(ByteBuffer.allocate(4096));
            say(session, "{\"return\":{},\"id\":1}\n");
            while (true) {
              say(session, words);
            }
          } catch (IOException e) {
            // Nobody listens any more.
          }
        });
  }

  private static void say(SocketChannel session, String words) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(words.getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      session.write(bytes);
    }
  }
}
