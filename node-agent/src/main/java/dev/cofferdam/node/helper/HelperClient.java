package dev.cofferdam.node.helper;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.kit.metrics.Times;
import dev.cofferdam.node.helper.HelperException.Code;
import dev.cofferdam.node.machine.ProcessId;
import io.github.resilience4j.core.IntervalFunction;
import io.github.resilience4j.retry.Retry;
import io.github.resilience4j.retry.RetryConfig;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * node-helper over its Unix socket: JSON lines. The connection is opened when needed and again
 * after a restart of the helper; acts that may be repeated are, for about a second.
 */
public final class HelperClient implements NodeHelper, AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  /**
   * A helper that restarts is back within the pauses: 20, 70, 245 and 858 ms. No circuit beside it:
   * a socket on this machine answers at once, also that nobody listens.
   */
  private final Retry retry =
      Retry.of(
          "node-helper",
          RetryConfig.custom()
              .maxAttempts(5)
              .intervalFunction(IntervalFunction.ofExponentialBackoff(20, 3.5))
              .retryOnException(HelperClient::mayBeRepeated)
              .build());

  private final Path socket;
  private final MeterRegistry meters;
  private final ReentrantLock opening = new ReentrantLock();
  private @Nullable HelperConnection connection;

  public HelperClient(Path socket, MeterRegistry meters) {
    this.socket = socket;
    this.meters = meters;
  }

  @Override
  public void ensureGate() {
    var _ = repeatable("gate.ensure", JSON.createObjectNode());
  }

  @Override
  public SlotInfo createSlot(int slot) {
    JsonNode answer = repeatable("slot.create", slotArguments(slot));
    return new SlotInfo(
        slot, required(answer, "address").asText(), Path.of(required(answer, "link").asText()));
  }

  @Override
  public void destroySlot(int slot) {
    var _ = repeatable("slot.destroy", slotArguments(slot));
  }

  @Override
  public List<Integer> listSlots() {
    List<Integer> slots = new ArrayList<>();
    for (JsonNode slot : required(repeatable("slot.list", JSON.createObjectNode()), "slots")) {
      slots.add(slot.asInt());
    }
    return List.copyOf(slots);
  }

  /**
   * @throws HelperException NOT_FOUND where the sandbox has ended
   */
  public SlotUsage usage(int slot, String sandbox) {
    JsonNode answer = repeatable("slot.usage", slotArguments(slot).put("sandbox", sandbox));
    return new SlotUsage(
        required(answer, "cpu_ns").asLong(),
        required(answer, "memory_bytes").asLong(),
        required(answer, "disk_bytes").asLong(),
        required(answer, "from_guest_bytes").asLong(),
        required(answer, "to_guest_bytes").asLong());
  }

  @Override
  public void prepareSandbox(int slot, String sandbox, List<String> files) {
    ObjectNode arguments = slotArguments(slot).put("sandbox", sandbox);
    strings(arguments.putArray("files"), files);
    var _ = repeatable("sandbox.prepare", arguments);
  }

  @Override
  public void removeSandbox(String sandbox) {
    var _ = repeatable("sandbox.remove", JSON.createObjectNode().put("sandbox", sandbox));
  }

  @Override
  public void loadTemplate(String template) {
    var _ = repeatable("template.load", JSON.createObjectNode().put("template", template));
  }

  @Override
  public void forgetTemplate(String template) {
    var _ = repeatable("template.forget", JSON.createObjectNode().put("template", template));
  }

  @Override
  public ProcessId startVmm(VmmStart start) {
    ObjectNode arguments =
        slotArguments(start.slot())
            .put("sandbox", start.sandbox())
            .put("driver", start.driver())
            .put("template", start.template())
            .put("image", start.image())
            .put("memory_mib", start.memoryMib())
            .put("vcpus", start.vcpus())
            .put("own", start.own());
    strings(arguments.putArray("args"), start.arguments());
    if (!start.volumes().isEmpty()) {
      strings(arguments.putArray("volumes"), start.volumes());
    }
    JsonNode answer = timed("vmm.start", () -> connection().call("vmm.start", arguments, PATIENCE));
    return new ProcessId(required(answer, "pid").asLong(), required(answer, "start_time").asLong());
  }

  @Override
  public String stopVmm(int slot) {
    return repeatable("vmm.stop", slotArguments(slot)).path("output").asText();
  }

  @Override
  public void stopVmm(int slot, ProcessId process) {
    var _ =
        repeatable(
            "vmm.stop",
            slotArguments(slot).put("pid", process.pid()).put("start_time", process.startTime()));
  }

  @Override
  public void watchDrops(Consumer<SlotDrop> drops) {
    try (HelperConnection stream = HelperConnection.open(socket)) {
      stream.send(1, "drops.watch", JSON.createObjectNode());
      while (!Thread.currentThread().isInterrupted()) {
        JsonNode line = stream.next();
        if (line.has("error")) {
          throw HelperConnection.error(line.path("error"));
        }
        JsonNode drop = line.path("drop");
        if (drop.isObject()) {
          drops.accept(
              new SlotDrop(
                  drop.path("slot").asInt(),
                  drop.path("protocol").asText(),
                  drop.path("destination").asText(),
                  drop.path("port").asInt(),
                  drop.path("count").asLong(1),
                  drop.path("first_time_ms").asLong()));
        }
      }
    } catch (HelperException e) {
      // Closing the channel is what an interrupt does to a blocked read.
      if (!Thread.currentThread().isInterrupted()) {
        throw e;
      }
    }
  }

  @Override
  public void close() {
    opening.lock();
    try {
      if (connection != null) {
        connection.close();
      }
    } finally {
      opening.unlock();
    }
  }

  private JsonNode repeatable(String verb, ObjectNode arguments) {
    return timed(
        verb, () -> retry.executeSupplier(() -> connection().call(verb, arguments, PATIENCE)));
  }

  private JsonNode timed(String verb, Supplier<JsonNode> call) {
    Timer.Sample sample = Timer.start(meters);
    String outcome = "failed";
    try {
      JsonNode answer = call.get();
      outcome = "done";
      return answer;
    } catch (HelperException e) {
      outcome = e.code().name().toLowerCase(Locale.ROOT);
      throw e;
    } finally {
      sample.stop(
          Times.histogram("cofferdam.node.helper", "Calls to node-helper, repeats included")
              .tag("verb", verb)
              .tag("outcome", outcome)
              .register(meters));
    }
  }

  private HelperConnection connection() {
    opening.lock();
    try {
      HelperConnection open = connection;
      if (open == null || open.broken()) {
        open = HelperConnection.open(socket).start();
        connection = open;
      }
      return open;
    } finally {
      opening.unlock();
    }
  }

  private static boolean mayBeRepeated(Throwable thrown) {
    return thrown instanceof HelperException e
        && e.code() == Code.UNAVAILABLE
        && !Thread.currentThread().isInterrupted();
  }

  private static ObjectNode slotArguments(int slot) {
    return JSON.createObjectNode().put("slot", slot);
  }

  private static void strings(ArrayNode array, List<String> values) {
    values.forEach(array::add);
  }

  private static JsonNode required(JsonNode answer, String field) {
    JsonNode value = answer.get(field);
    if (value == null) {
      throw new HelperException(
          Code.FAILED, "node-helper's answer has no " + field + ": " + answer);
    }
    return value;
  }
}
