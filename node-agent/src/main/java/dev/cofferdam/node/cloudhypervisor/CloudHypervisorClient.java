package dev.cofferdam.node.cloudhypervisor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.node.cloudhypervisor.UnixHttp.Answer;
import dev.cofferdam.v1.ErrorReason;
import io.github.resilience4j.bulkhead.Bulkhead;
import io.github.resilience4j.bulkhead.BulkheadConfig;
import io.github.resilience4j.bulkhead.BulkheadFullException;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.netty.handler.codec.http.HttpMethod;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * The REST API of one Cloud Hypervisor process (its {@code
 * vmm/src/api/openapi/cloud-hypervisor.yaml}). Safe for use by several threads, one after another:
 * the other side has one thread for all of them, and a snapshot keeps it for seconds.
 *
 * <p>Every call throws {@link ApiRefusal} for what Cloud Hypervisor refused, and {@link
 * ApiException} where there was no answer. Each has a deadline; those that change nothing are
 * repeated; a VMM that does not answer is not asked for a while.
 */
final class CloudHypervisorClient {
  /** Bytes of a request's body: the limit of v53.0 and before; later ones take more. */
  static final int MAX_BODY = 51_200;

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String ROOT = "/api/v1/";
  private static final byte[] NOTHING = {};

  private static final Duration QUESTION = Duration.ofSeconds(5);
  private static final Duration COMMAND = Duration.ofSeconds(20);

  private final UnixHttp http;
  private final Supplier<Path> socket;

  /** Its own: one VMM that does not answer closes the way to no other. */
  private final Guard guard;

  /** Waits no longer for its turn than a command may take. */
  private final Bulkhead turn;

  /**
   * @param socket where it lies now: directories are renamed
   * @param name of the VMM, for people
   */
  CloudHypervisorClient(UnixHttp http, Supplier<Path> socket, String name) {
    this.http = http;
    this.socket = socket;
    this.guard = new Guard(name, ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    this.turn =
        Bulkhead.of(
            name,
            BulkheadConfig.custom()
                .maxConcurrentCalls(1)
                .maxWaitDuration(COMMAND)
                .fairCallHandlingStrategyEnabled(true)
                .build());
  }

  ApiVersion ping() {
    return ApiVersion.parse(version());
  }

  /** As {@code vmm.ping} says it. */
  String version() {
    JsonNode answer = question("vmm.ping");
    return answer.path("build_version").asText(answer.path("version").asText());
  }

  /** What {@code vm.info} says of its state: Created, Running, Paused or Shutdown. */
  String state() {
    return question("vm.info").path("state").asText();
  }

  /** By device, then by counter: unsigned numbers of 64 bits. */
  JsonNode counters() {
    return question("vm.counters");
  }

  void create(ObjectNode config) {
    command("vm.create", config, COMMAND);
  }

  void boot() {
    command("vm.boot", COMMAND);
  }

  void pause() {
    command("vm.pause", COMMAND);
  }

  void resume() {
    command("vm.resume", COMMAND);
  }

  /**
   * @param directory of the VMM's sight; it is there and holds no snapshot
   */
  void snapshot(String directory, Duration patience) {
    command("vm.snapshot", object().put("destination_url", "file://" + directory), patience);
  }

  /**
   * @param directory of the VMM's sight
   * @param mode known to this version: an unknown one is refused, by an old one overlooked
   */
  void restore(String directory, RestoreMode mode, Duration patience) {
    ObjectNode request = object().put("source_url", "file://" + directory).put("prefault", false);
    if (mode != RestoreMode.COPY) {
      // What all versions do by themselves is not named: the oldest have no name for it.
      request.put("memory_restore_mode", mode.label());
    }
    command("vm.restore", request, patience);
  }

  /**
   * Changes how many processors and how much memory the guest has, within what it was created for.
   */
  void resize(int vcpus, long memoryBytes) {
    command(
        "vm.resize", object().put("desired_vcpus", vcpus).put("desired_ram", memoryBytes), COMMAND);
  }

  /** Makes a raw disk that long; its guest is told. */
  void resizeDisk(String id, long bytes) {
    command("vm.resize-disk", object().put("id", id).put("desired_size", bytes), COMMAND);
  }

  void addDisk(ObjectNode disk) {
    command("vm.add-disk", disk, COMMAND);
  }

  void addNet(ObjectNode net) {
    command("vm.add-net", net, COMMAND);
  }

  void removeDevice(String id) {
    command("vm.remove-device", object().put("id", id), COMMAND);
  }

  /** Ends the machine and leaves the process. */
  void shutdown() {
    command("vm.shutdown", COMMAND);
  }

  /** Ends the process. */
  void shutdownVmm() {
    command("vmm.shutdown", COMMAND);
  }

  static ObjectNode object() {
    return JSON.createObjectNode();
  }

  private JsonNode question(String call) {
    Answer answer =
        guarded(() -> guard.idempotent(() -> ask(HttpMethod.GET, call, NOTHING, QUESTION)));
    try {
      return JSON.readTree(accepted(call, answer));
    } catch (JsonProcessingException e) {
      throw new ApiException(call + ": the answer is no JSON", e);
    } catch (IOException e) {
      throw new ApiException(call + ": the answer is not readable", e);
    }
  }

  /** Without a body: these calls refuse one. */
  private void command(String call, Duration patience) {
    command(call, NOTHING, patience);
  }

  private void command(String call, ObjectNode body, Duration patience) {
    byte[] bytes = body.toString().getBytes(StandardCharsets.UTF_8);
    if (bytes.length > MAX_BODY) {
      throw new ApiException(
          "%s: the request has %d bytes, expected at most %d"
              .formatted(call, bytes.length, MAX_BODY));
    }
    command(call, bytes, patience);
  }

  private void command(String call, byte[] body, Duration patience) {
    Answer answer = guarded(() -> guard.call(() -> ask(HttpMethod.PUT, call, body, patience)));
    var _ = accepted(call, answer);
  }

  private Answer guarded(Supplier<Answer> work) {
    try {
      // Waiting for one's own turn says nothing against the VMM.
      return turn.executeSupplier(work);
    } catch (BulkheadFullException e) {
      throw new ApiException("another command did not end within " + COMMAND, e);
    } catch (StatusRuntimeException e) {
      throw new ApiUnreached(String.valueOf(e.getStatus().getDescription()), e);
    }
  }

  /** A refusal is an answer: it says nothing against asking again. */
  private Answer ask(HttpMethod method, String call, byte[] body, Duration patience) {
    try {
      return http.exchange(socket.get(), method, ROOT + call, body, patience);
    } catch (TimeoutException e) {
      throw Status.DEADLINE_EXCEEDED
          .withDescription("%s: no answer within %s".formatted(call, patience))
          .withCause(e)
          .asRuntimeException();
    } catch (IOException e) {
      throw Status.UNAVAILABLE
          .withDescription(call + ": " + e.getMessage())
          .withCause(e)
          .asRuntimeException();
    }
  }

  private static byte[] accepted(String call, Answer answer) {
    if (answer.status() / 100 != 2) {
      throw ApiRefusal.of(call, answer.status(), answer.body());
    }
    return answer.body();
  }
}
