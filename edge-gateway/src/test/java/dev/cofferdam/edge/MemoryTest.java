package dev.cofferdam.edge;

import static dev.cofferdam.edge.Eventually.eventually;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Many sockets, each within its own limits, that together would use up the edge's heap. */
final class MemoryTest {
  private static final int LIMIT = 4 << 20;
  private static final int TRY_AGAIN_LATER = 1013;

  private final FakeMesh mesh;
  private final EdgeApp app;
  private final Sdk sdk;
  private final Sdk.Socket honest;
  private final List<Sdk.Socket> greedy = new ArrayList<>();

  MemoryTest() throws Exception {
    mesh = new FakeMesh();
    app = TestEdge.start(mesh, Map.of("limits.memory-bytes", Integer.toString(LIMIT)));
    sdk = new Sdk(app.port());
    honest = sdk.create(Sdk.BOTH, "{}");
  }

  @AfterEach
  void close() {
    sdk.close();
    app.close();
    mesh.close();
  }

  private interface Sending {
    void to(Sdk.Socket socket) throws Exception;
  }

  /** Each until its socket is closed for it, or it has all been taken. */
  private void attack(int sockets, Sending sending) throws Exception {
    for (int i = 0; i < sockets; i++) {
      Sdk.Socket socket = sdk.create(Sdk.BOTH, "{}");
      greedy.add(socket);
      try {
        sending.to(socket);
      } catch (CompletionException e) {
        // Closed meanwhile.
      }
    }
  }

  private void assertHeldOut() throws Exception {
    eventually(() -> app.server().memory().held() <= LIMIT, "the end of those that hold too much");
    assertThat(greedy.stream().filter(socket -> socket.closed().isDone())).isNotEmpty();
    assertThat(app.server().memory().ended()).isPositive();
    honest.call(1, "readTextFile", "{\"path\":\"/honest\"}");
    assertThat(honest.answer(1).at("/result/ok").asText()).isEqualTo("/honest");
    assertThat(honest.closed()).isNotDone();
    for (Sdk.Socket socket : greedy) {
      if (socket.closed().isDone() && !socket.closed().isCompletedExceptionally()) {
        assertThat(socket.closeCode()).isEqualTo(TRY_AGAIN_LATER);
      }
    }
    greedy.forEach(socket -> socket.socket().abort());
    eventually(() -> app.server().memory().held() == 0, "the end of all that was held");
  }

  @Test
  void messagesThatDoNotEnd() throws Exception {
    String part = "x".repeat(50_000);
    attack(
        12,
        socket -> {
          for (int i = 0; i < 20; i++) {
            var _ = socket.socket().sendText(part, false).join();
          }
        });
    assertHeldOut();
  }

  @Test
  void callsThatWait() throws Exception {
    String padding = "x".repeat(100_000);
    attack(
        4,
        socket -> {
          socket.call(1, "spawn", "{\"command\":\"deaf\",\"stdout\":\"null\",\"stderr\":\"null\"}");
          int pid = socket.answer(1).at("/result/ok/pid").asInt();
          for (int i = 2; i < 12; i++) {
            socket.call(i, "processWait", "{\"pid\":%d,\"x\":\"%s\"}".formatted(pid, padding));
          }
        });
    assertHeldOut();
  }

  @Test
  void streamsThatNothingTakes() throws Exception {
    String data = "eHh4".repeat(12_000);
    attack(
        12,
        socket -> {
          socket.notify("$sandbox.stream.start", "{\"streamId\":1}");
          for (int i = 0; i < 20; i++) {
            socket.notify("$sandbox.stream.enqueue", "{\"streamId\":1,\"data\":\"" + data + "\"}");
          }
        });
    assertHeldOut();
  }

  @Test
  void readsOfOpenFilesThatDoNotEnd() throws Exception {
    attack(
        2,
        socket -> {
          List<Long> files = new ArrayList<>();
          for (int i = 0; i < 6; i++) {
            files.add(socket.ok("open", "{\"path\":\"slow\"}").path("fileHandleId").asLong());
          }
          for (long file : files) {
            socket.call("fileRead", "{\"fileHandleId\":%d,\"length\":10000000}".formatted(file));
          }
        });
    assertHeldOut();
  }

  /** A client that has been told, and answers nothing, has its connection ended all the same. */
  @Test
  void whoSendsOnIsCutOff() throws Exception {
    try (RawClient raw = new RawClient(app.port()).create()) {
      // One text frame of 16 MiB, masked by nothing, that does not end.
      raw.send("\u0081\u00ff\0\0\0\0\1\0\0\0\0\0\0\0");
      String part = "x".repeat(1 << 20);
      try {
        for (int i = 0; i < 15; i++) {
          raw.send(part);
        }
      } catch (SocketException e) {
        // Cut off.
      }
      assertThat(raw.rest())
          .as("the close, and nothing else")
          .startsWith("\u0088")
          .hasSizeLessThan(128);
    }
    eventually(() -> app.server().memory().held() == 0, "the end of all that was held");
  }

  /** What was held and is not any more is not held: else an edge would end all sockets one day. */
  @Test
  void whatIsDoneHoldsNothing() throws Exception {
    for (int round = 0; round < 5; round++) {
      int id = 10 * round;
      String large = "y".repeat(200 << round);
      honest.notify("$sandbox.stream.start", "{\"streamId\":%d}".formatted(id));
      honest.call(
          id,
          "spawn",
          "{\"command\":\"cat\",\"stdinStreamId\":%d,\"stdout\":\"piped\",\"stderr\":\"null\"}"
              .formatted(id));
      int pid = honest.answer(id).at("/result/ok/pid").asInt();
      honest.notify(
          "$sandbox.stream.enqueue", "{\"streamId\":%d,\"data\":\"aGVsbG8=\"}".formatted(id));
      honest.notify("$sandbox.stream.end", "{\"streamId\":%d}".formatted(id));
      honest.call(id + 1, "processWait", "{\"pid\":%d}".formatted(pid));
      honest.call(id + 2, "writeTextFile", "{\"path\":\"/a\",\"content\":\"" + large + "\"}");
      honest.call(id + 3, "readTextFile", "{\"path\":\"/" + large + "\"}");
      honest.call(id + 4, "spawn", "{\"command\":\"nothing\"}");
      honest.call(id + 5, "nothing", "{}");
      honest.ping();
      honest.send("ping");
      honest.socket().sendText("{\"jsonrpc\":\"2.0\",", false).join();
      honest.socket().sendText("\"method\":\"$x\"}", true).join();
      int answers = 0;
      while (answers < 5) {
        JsonNode message = honest.next();
        answers += message.has("id") ? 1 : 0;
      }
    }
    eventually(() -> app.server().memory().held() == 0, "nothing held by a socket that is idle");
    assertThat(honest.closed()).isNotDone();
    assertThat(app.server().memory().ended()).isZero();
  }
}
