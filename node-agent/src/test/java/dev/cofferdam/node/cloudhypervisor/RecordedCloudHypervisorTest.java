package dev.cofferdam.node.cloudhypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.cloudhypervisor.Replay.Exchange;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The client against what a real Cloud Hypervisor, v53.0-246-gae44c2971, answered: recorded by
 * testkit/nested/record.py in an outer machine with emulated virtualisation.
 */
class RecordedCloudHypervisorTest {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  @TempDir Path directory;
  private final UnixHttp http = new UnixHttp();

  @AfterEach
  void close() {
    http.close();
  }

  @Test
  void aWholeLifeWithEveryRefusal() throws IOException {
    try (Replay replay = replay("lifecycle")) {
      CloudHypervisorClient client = client();
      assertThat(client.ping().text()).isEqualTo("v53.0-246-gae44c2971-dirty");
      assertRefused(client::state, 404, "vm.info: The VM info is not available: VM is not created");
      assertRefused(client::boot, 404, "vm.boot: The VM could not boot: VM config is missing");
      client.create(machine());
      assertRefused(
          () -> client.create(machine()),
          500,
          "The VM could not be created: VM is already created");
      assertThat(client.state()).isEqualTo("Created");
      client.boot();
      assertThat(client.counters().path("disk").has("read_bytes")).isTrue();
      assertRefused(
          () -> client.snapshot("/sandbox", PATIENCE),
          500,
          "Trying to snapshot while VM is running");
      ObjectNode disk =
          CloudHypervisorClient.object()
              .put("id", "disk")
              .put("path", "/sandbox/disk.ext4")
              .put("image_type", "Raw");
      assertRefused(() -> client.addDisk(disk), 409, "Identifier disk is not unique");
      assertRefused(() -> client.removeDevice("nothing"), 404, "given identifier: nothing");
      assertRefused(() -> client.resize(9, 128L << 20), 500, "Requested vCPUs exceed maximum");
      client.pause();
      assertThat(client.state()).isEqualTo("Paused");
      client.snapshot("/sandbox", PATIENCE);
      assertRefused(() -> client.snapshot("/sandbox", PATIENCE), 500, "File exists");
      client.resume();
      client.shutdown();
      client.shutdownVmm();
      assertThat(replay.problems()).isEmpty();
    }
  }

  @Test
  void oneRequestAtATimeHoweverLongASnapshotTakes() throws Exception {
    try (Replay replay = replay("one-at-a-time")) {
      CountDownLatch snapshot = new CountDownLatch(1);
      replay.hold("PUT /api/v1/vm.snapshot", snapshot);
      CloudHypervisorClient client = client();
      client.create(machine());
      client.boot();
      client.pause();
      CompletableFuture<Void> first =
          CompletableFuture.runAsync(() -> client.snapshot("/sandbox", PATIENCE));
      while (!replay.asked().contains("PUT /api/v1/vm.snapshot")) {
        Thread.onSpinWait();
      }
      CompletableFuture<ApiVersion> second = new CompletableFuture<>();
      Thread pinging = Thread.ofPlatform().start(() -> second.complete(client.ping()));
      while (pinging.getState() != Thread.State.TIMED_WAITING) {
        Thread.onSpinWait();
      }
      assertThat(replay.asked()).doesNotContain("GET /api/v1/vmm.ping");
      snapshot.countDown();
      first.get(20, TimeUnit.SECONDS);
      assertThat(second.get(20, TimeUnit.SECONDS).major()).isEqualTo(53);
      assertThat(replay.problems()).isEmpty();
    }
  }

  @Test
  void aSnapshotThatTakesTooLongIsToldAsSuch() throws IOException {
    try (Replay replay = replay("lifecycle")) {
      CountDownLatch never = new CountDownLatch(1);
      replay.hold("PUT /api/v1/vm.snapshot", never);
      assertThatThrownBy(() -> client().snapshot("/sandbox", Duration.ofMillis(50)))
          .isInstanceOf(ApiException.class)
          .hasMessage("vm.snapshot: no answer within PT0.05S");
      never.countDown();
    }
  }

  @Test
  void aBodyOverTheLimitIsNotSent() throws IOException {
    try (Replay replay = replay("limits")) {
      ObjectNode disk = CloudHypervisorClient.object().put("path", "x".repeat(60_000));
      assertThatThrownBy(() -> client().addDisk(disk))
          .isInstanceOf(ApiException.class)
          .hasMessage("vm.add-disk: the request has 60011 bytes, expected at most 51200");
      assertThat(replay.asked()).isEmpty();
    }
  }

  @Test
  void everyRefusalHasOnePreciseMessage() throws IOException {
    List<String> messages =
        Replay.recording("limits").stream()
            .map(e -> ApiRefusal.of("it", e.status(), e.answerBody()).getMessage())
            .toList();
    assertThat(messages)
        .containsExactly(
            "it: Failed to deserialize JSON: EOF while parsing a value at line 1 column 60000"
                + " (status 400)",
            "it: Request payload with size 4194305 is larger than the limit of 4194304 allowed by"
                + " server. (status 400)",
            "it: Failed to deserialize JSON: EOF while parsing an object at line 1 column 1"
                + " (status 400)",
            "it: no reason given (status 400)",
            "it: Bad Request (status 400)",
            "it: Not Found (status 404)");
  }

  @Test
  void aRefusalIsBoundedAndShowsNothingThatATerminalWouldObey() {
    String hostile =
        "[\"Error from API\",\"\u001b[2J\\u001b]0;x\",\"why\\nStack backtrace:\\n 0: main\",\""
            + "y".repeat(5000)
            + "\""
            + ",\"z\"".repeat(100)
            + "]";
    String message =
        String.valueOf(
            ApiRefusal.of("it", 500, hostile.getBytes(StandardCharsets.UTF_8)).getMessage());
    assertThat(message).startsWith("it: ?[2J?]0;x: why: yyyy").endsWith("z (status 500)");
    assertThat(message).hasSizeLessThan(400).doesNotContain("backtrace");
  }

  @Test
  void nobodyThereIsToldAndNotAskedForAWhile() throws IOException {
    CloudHypervisorClient client = client();
    assertThatThrownBy(client::ping)
        .isInstanceOf(ApiUnreached.class)
        .hasMessage("vmm.ping: nobody listens on ch.sock");
    assertThatThrownBy(client::ping)
        .isInstanceOf(ApiUnreached.class)
        .hasMessageContaining("did not answer lately");
    try (ServerSocketChannel dead = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      dead.bind(UnixDomainSocketAddress.of(socket()));
      CompletableFuture<Void> hangUp =
          CompletableFuture.runAsync(() -> {
            try {
              dead.accept().close();
            } catch (IOException e) {
              throw new IllegalStateException(e);
            }
          });
      assertThatThrownBy(() -> client().boot()).isInstanceOf(ApiException.class);
      hangUp.join();
    }
  }

  @Test
  void refusalsDoNotOpenTheCircuit() throws IOException {
    try (Replay replay = replay("lifecycle")) {
      CloudHypervisorClient client = client();
      for (int i = 0; i < 20; i++) {
        assertRefused(() -> client.removeDevice("nothing"), 404, "nothing");
      }
      assertThat(client.ping().major()).isEqualTo(53);
      assertThat(replay.problems()).isEmpty();
    }
  }

  @Test
  void whatIsNoAnswerIsRefused() throws IOException {
    String huge =
        "HTTP/1.1 200 \r\nContent-Length: " + (UnixHttp.MAX_ANSWER + 1) + "\r\n\r\n" + "{";
    String endless = "HTTP/1.1 200 \r\nX: " + "x".repeat(20_000) + "\r\n\r\n";
    for (String answer :
        List.of(
            huge,
            endless,
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n{")) {
      Files.deleteIfExists(socket());
      Exchange exchange =
          new Exchange("GET /api/v1/vmm.ping", "", answer.getBytes(StandardCharsets.UTF_8));
      try (Replay replay = Replay.serve(socket(), List.of(exchange))) {
        assertThatThrownBy(() -> client().ping())
            .as(answer.substring(0, 12))
            .isInstanceOf(ApiException.class);
        assertThat(replay.problems()).isEmpty();
      }
    }
  }

  @Test
  void aSocketThatAnotherUserServesIsNotSpokenTo() throws IOException {
    try (Replay replay = replay("lifecycle")) {
      try {
        Files.setOwner(
            directory,
            directory
                .getFileSystem()
                .getUserPrincipalLookupService()
                .lookupPrincipalByName("nobody"));
      } catch (FileSystemException e) {
        Assumptions.abort("only root may give a directory away");
      }
      assertThatThrownBy(() -> client().boot()).hasMessageContaining("expected nobody");
      assertThat(replay.asked()).isEmpty();
    }
  }

  static ObjectNode machine() {
    return VmmConfig.machine(
        new MachineSpec("sb-a", 1, "0123456789abcdef", new MachineSize(1, 128, 64), "quiet"),
        false);
  }

  private Replay replay(String recording) throws IOException {
    return Replay.serve(socket(), Replay.recording(recording));
  }

  private CloudHypervisorClient client() {
    return new CloudHypervisorClient(http, this::socket, "Cloud Hypervisor of sb-a");
  }

  private Path socket() {
    return directory.resolve(VmmConfig.SOCKET);
  }

  private static void assertRefused(ThrowingCallable call, int status, String message) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            ApiRefusal.class, refusal -> assertThat(refusal.status()).isEqualTo(status))
        .hasMessageContaining(message);
  }
}
