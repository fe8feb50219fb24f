package dev.cofferdam.node.journal;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.journal.JournalEntry.Claimed;
import dev.cofferdam.node.journal.JournalEntry.Ended;
import dev.cofferdam.node.journal.JournalEntry.Halt;
import dev.cofferdam.node.journal.JournalEntry.Halted;
import dev.cofferdam.node.journal.JournalEntry.Removing;
import dev.cofferdam.node.journal.JournalEntry.RollingBack;
import dev.cofferdam.node.journal.JournalEntry.Running;
import dev.cofferdam.node.journal.JournalEntry.Suspended;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.ProcessId;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Optional;
import java.util.zip.CRC32C;

/** One entry as one line: eight hex digits of CRC-32C over the JSON that follows a blank. */
final class JournalCodec {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int CHECK = 8;

  private JournalCodec() {}

  static byte[] encode(JournalEntry entry) {
    ObjectNode json =
        JSON.createObjectNode().put("sandbox", entry.sandbox()).put("epoch", entry.epoch());
    switch (entry) {
      case Claimed claimed -> json.put("state", "claimed").put("slot", claimed.slot());
      case Running running -> {
        json.put("state", "running").put("slot", running.slot());
        process(json, running.process());
        size(json, running.size());
      }
      case Halted halted -> {
        json.put("state", "halted").put("slot", halted.slot());
        json.put("paused", halted.halt() != Halt.PASSING);
        json.put("cut_off", halted.halt() == Halt.CUT_OFF);
        process(json, halted.process());
        size(json, halted.size());
      }
      case Suspended suspended ->
          size(json.put("state", "suspended").put("slot", suspended.slot()), suspended.size());
      case RollingBack back ->
          size(json.put("state", "rolling_back").put("slot", back.slot()), back.size());
      case Removing removing -> json.put("state", "removing").put("slot", removing.slot());
      case Ended ended -> json.put("state", "ended").put("repeatable", ended.repeatable());
    }
    byte[] text = json.toString().getBytes(StandardCharsets.UTF_8);
    return (check(text) + " " + new String(text, StandardCharsets.UTF_8) + "\n")
        .getBytes(StandardCharsets.UTF_8);
  }

  /** Empty for anything that {@link #encode} did not write, whole. */
  static Optional<JournalEntry> decode(String line) {
    if (line.length() < CHECK + 2 || line.charAt(CHECK) != ' ') {
      return Optional.empty();
    }
    String text = line.substring(CHECK + 1);
    if (!line.substring(0, CHECK).equals(check(text.getBytes(StandardCharsets.UTF_8)))) {
      return Optional.empty();
    }
    try {
      return Optional.of(entry(JSON.readTree(text)));
    } catch (JsonProcessingException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static JournalEntry entry(JsonNode json) {
    String sandbox = json.required("sandbox").asText();
    long epoch = json.required("epoch").asLong();
    return switch (json.required("state").asText()) {
      case "claimed" -> new Claimed(sandbox, epoch, json.required("slot").asInt());
      case "running" ->
          new Running(sandbox, epoch, json.required("slot").asInt(), process(json), size(json));
      case "halted" ->
          new Halted(
              sandbox, epoch, json.required("slot").asInt(), process(json), size(json), halt(json));
      case "suspended" -> new Suspended(sandbox, epoch, json.required("slot").asInt(), size(json));
      case "rolling_back" ->
          new RollingBack(sandbox, epoch, json.required("slot").asInt(), size(json));
      case "removing" -> new Removing(sandbox, epoch, json.required("slot").asInt());
      case "ended" -> new Ended(sandbox, epoch, json.required("repeatable").asBoolean());
      default -> throw new IllegalArgumentException("unknown state in " + json);
    };
  }

  /** Older journals do not know of nodes that are cut off. */
  private static Halt halt(JsonNode json) {
    if (!json.required("paused").asBoolean()) {
      return Halt.PASSING;
    }
    return json.path("cut_off").asBoolean() ? Halt.CUT_OFF : Halt.PAUSED;
  }

  private static void process(ObjectNode json, ProcessId process) {
    json.put("pid", process.pid()).put("start_time", process.startTime());
  }

  private static ProcessId process(JsonNode json) {
    return new ProcessId(json.required("pid").asLong(), json.required("start_time").asLong());
  }

  private static void size(ObjectNode json, MachineSize size) {
    json.put("vcpus", size.vcpus())
        .put("memory_mib", size.memoryMib())
        .put("disk_mib", size.diskMib());
  }

  private static MachineSize size(JsonNode json) {
    return new MachineSize(
        json.required("vcpus").asInt(),
        json.required("memory_mib").asInt(),
        json.required("disk_mib").asInt());
  }

  private static String check(byte[] text) {
    CRC32C crc = new CRC32C();
    crc.update(text);
    return HexFormat.of().toHexDigits((int) crc.getValue());
  }
}
