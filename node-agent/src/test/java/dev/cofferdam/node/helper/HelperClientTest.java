package dev.cofferdam.node.helper;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.machine.ProcessId;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
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
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HelperClientTest {
  @TempDir Path directory;
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
  private final BlockingQueue<String> requests = new LinkedBlockingQueue<>();
  private Path socket;
  private @Nullable ServerSocketChannel server;
  private HelperClient client;

  @BeforeEach
  void open() {
    socket = directory.resolve("h.sock");
    client = new HelperClient(socket, meters);
  }

  @AfterEach
  void close() throws IOException {
    client.close();
    if (server != null) {
      server.close();
    }
  }

  @Test
  void verbsAndTheirAnswersAreThoseOfTheProtocol() throws IOException, InterruptedException {
    serve(request ->
        request.contains("vmm.start")
            ? "{\"id\":%d,\"ok\":{\"pid\":77,\"start_time\":9}}"
            : request.contains("slot.list")
                ? "{\"id\":%d,\"ok\":{\"slots\":[3,5]}}"
                : "{\"id\":%d,\"ok\":{\"address\":\"100.80.0.2\",\"link\":\"/l/2.sock\",\"output\":\"no"
                      + " disk\"}}");

    assertThat(client.createSlot(2)).isEqualTo(new SlotInfo(2, "100.80.0.2", Path.of("/l/2.sock")));
    assertThat(request()).contains("\"verb\":\"slot.create\",\"args\":{\"slot\":2}");
    assertThat(client.listSlots()).containsExactly(3, 5);
    assertThat(request()).contains("\"verb\":\"slot.list\",\"args\":{}");
    client.removeSandbox("sb-x");
    assertThat(request()).contains("\"verb\":\"sandbox.remove\",\"args\":{\"sandbox\":\"sb-x\"}");
    assertThat(client.stopVmm(2)).isEqualTo("no disk");
    assertThat(request()).contains("\"verb\":\"vmm.stop\",\"args\":{\"slot\":2}");
    client.stopVmm(2, new ProcessId(77, 9));
    assertThat(request())
        .contains("\"verb\":\"vmm.stop\",\"args\":{\"slot\":2,\"pid\":77,\"start_time\":9}");
    assertThat(
            client.startVmm(new VmmStart(2, "sb-x", "qemu", List.of("-S"), "t", "i", 512, 1, true)))
        .isEqualTo(new ProcessId(77, 9));
    assertThat(request())
        .contains(
            "\"args\":{\"slot\":2,\"sandbox\":\"sb-x\",\"driver\":\"qemu\",\"template\":\"t\",\"image\":\"i\","
                + "\"memory_mib\":512,\"vcpus\":1,\"own\":true,\"args\":[\"-S\"]}");
  }

  @Test
  void whatASlotUsedIsReadAndTimed() throws IOException, InterruptedException {
    serve(request ->
        "{\"id\":%d,\"ok\":{\"cpu_ns\":12345678901,\"memory_bytes\":2,\"disk_bytes\":3,"
            + "\"from_guest_bytes\":4,\"to_guest_bytes\":5}}");
    assertThat(client.usage(2, "sb-x")).isEqualTo(new SlotUsage(12_345_678_901L, 2, 3, 4, 5));
    assertThat(request())
        .contains("\"verb\":\"slot.usage\",\"args\":{\"slot\":2,\"sandbox\":\"sb-x\"}");
    assertThat(
            meters
                .get("cofferdam.node.helper")
                .tags("verb", "slot.usage", "outcome", "done")
                .timer()
                .count())
        .isEqualTo(1);
  }

  @Test
  void aStartNamesItsVolumesInTheirOrder() throws Exception {
    serve(request -> "{\"id\":%d,\"ok\":{\"pid\":77,\"start_time\":9}}");
    List<String> volumes = List.of("vol-b", "vol-a");
    var _ =
        client.startVmm(
            new VmmStart(2, "sb-x", "qemu", List.of(), "", "i", 512, 1, false, volumes));
    assertThat(request()).contains("\"volumes\":[\"vol-b\",\"vol-a\"]");
  }

  @Test
  void anErrorKeepsItsCode() throws IOException {
    serve(request -> "{\"id\":%d,\"error\":{\"code\":\"not_found\",\"message\":\"slot 9\"}}");
    assertThatThrownBy(() -> client.destroySlot(9))
        .isInstanceOfSatisfying(
            HelperException.class,
            e -> assertThat(e.code()).isEqualTo(HelperException.Code.NOT_FOUND))
        .hasMessageContaining("slot.destroy: slot 9");
    assertThat(meters.get("cofferdam.node.helper").tag("outcome", "not_found").timer().count())
        .isEqualTo(1);
  }

  @Test
  void aHelperThatWentAwayIsAskedAgain() throws IOException {
    // The first request gets no answer but the connection's end, as of a helper that is killed.
    serve(request -> requests.size() == 1 ? "" : "{\"id\":%d,\"ok\":{}}");
    assertThat(client.stopVmm(1)).isEmpty();
    assertThat(requests).hasSize(2).allMatch(request -> request.contains("vmm.stop"));
  }

  @Test
  void aStartIsNeverRepeated() throws IOException {
    serve(request -> "");
    assertThatThrownBy(() ->
            client.startVmm(new VmmStart(2, "sb-x", "qemu", List.of(), "", "i", 512, 1, false)))
        .isInstanceOfSatisfying(
            HelperException.class,
            e -> assertThat(e.code()).isEqualTo(HelperException.Code.UNAVAILABLE));
    assertThat(requests).hasSize(1);
  }

  @Test
  void dropsComeOneALine() throws IOException {
    serve(request ->
        "{\"drop\":{\"slot\":4,\"protocol\":\"udp\",\"destination\":\"8.8.8.8\",\"port\":53,\"count\":7,"
            + "\"first_time_ms\":1}}");
    BlockingQueue<SlotDrop> drops = new LinkedBlockingQueue<>();
    assertThatThrownBy(() -> client.watchDrops(drops::add)).isInstanceOf(HelperException.class);
    assertThat(drops).containsExactly(new SlotDrop(4, "udp", "8.8.8.8", 53, 7, 1));
  }

  /**
   * One answer to each request, with the request's number in it; then, after an empty one or a
   * drop, the end.
   */
  private void serve(UnaryOperator<String> answers) throws IOException {
    ServerSocketChannel listening =
        ServerSocketChannel.open(StandardProtocolFamily.UNIX)
            .bind(UnixDomainSocketAddress.of(socket));
    server = listening;
    Thread.ofVirtual().start(() -> accept(listening, answers));
  }

  private void accept(ServerSocketChannel listening, UnaryOperator<String> answers) {
    try {
      while (true) {
        try (SocketChannel peer = listening.accept()) {
          BufferedReader lines =
              new BufferedReader(Channels.newReader(peer, StandardCharsets.UTF_8));
          for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            requests.add(line);
            String answer = answers.apply(line);
            String number = line.replaceAll(".*\"id\":(\\d+).*", "$1");
            peer.write(
                ByteBuffer.wrap(
                    (answer.replace("%d", number) + "\n").getBytes(StandardCharsets.UTF_8)));
            if (answer.isEmpty() || answer.startsWith("{\"drop\"")) {
              break;
            }
          }
        }
      }
    } catch (IOException e) {
      // The test is over.
    }
  }

  private String request() throws InterruptedException {
    return String.valueOf(requests.poll(60, TimeUnit.SECONDS));
  }
}
