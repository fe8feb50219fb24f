package dev.cofferdam.node.template;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.machine.MachineSize;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** What was ordered and what came of it, a file each, for the process after this one. */
final class TemplateRecords {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String ENDING = ".json";

  private final Path directory;

  TemplateRecords(Path directory) throws IOException {
    this.directory = directory;
    Files.createDirectories(directory);
  }

  /**
   * @param image digest of the guest image that was made for it; empty until there is one
   */
  record Entry(TemplateOrder order, String image, TemplateStatus status) {}

  /** Durable on return. */
  void write(Entry entry) throws IOException {
    TemplateOrder order = entry.order();
    ObjectNode json =
        JSON.createObjectNode()
            .put("owner", order.owner())
            .put("kernel", order.kernel())
            .put("vcpus", order.size().vcpus())
            .put("memory_mib", order.size().memoryMib())
            .put("disk_mib", order.size().diskMib())
            .put("image", entry.image())
            .put("state", entry.status().state().name())
            .put("digest", entry.status().digest())
            .put("message", entry.status().message());
    switch (order.source()) {
      case TemplateOrder.ImageSource.Registry registry ->
          json.put("registry", registry.reference());
      case TemplateOrder.ImageSource.File file -> json.put("file", file.name());
      case TemplateOrder.ImageSource.Built built -> {
        ObjectNode build = json.putObject("build").put("sandbox", built.sandbox());
        built.sources().forEach(build.putArray("sources")::add);
        built.packages().forEach(build.putArray("packages")::add);
        built.steps().forEach(build.putArray("steps")::add);
      }
    }
    Path target = directory.resolve(order.id() + ENDING);
    Path fresh = directory.resolve(order.id() + ".new");
    Files.writeString(fresh, json.toString());
    SparseFile.sync(fresh);
    Files.move(fresh, target, StandardCopyOption.ATOMIC_MOVE);
    SparseFile.sync(directory);
  }

  void remove(String id) throws IOException {
    Files.deleteIfExists(directory.resolve(id + ENDING));
    SparseFile.sync(directory);
  }

  /**
   * @throws IOException when one cannot be read: it is a defect or a broken disk
   */
  List<Entry> all() throws IOException {
    List<Entry> entries = new ArrayList<>();
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        String name = String.valueOf(file.getFileName());
        if (name.endsWith(ENDING)) {
          entries.add(
              decode(name.substring(0, name.length() - ENDING.length()), Files.readString(file)));
        }
      }
    }
    return entries;
  }

  private static TemplateOrder.ImageSource source(JsonNode json) {
    if (json.has("file")) {
      return new TemplateOrder.ImageSource.File(json.required("file").asText());
    }
    if (json.has("build")) {
      JsonNode build = json.required("build");
      return new TemplateOrder.ImageSource.Built(
          build.required("sandbox").asText(),
          texts(build.required("sources")),
          texts(build.required("packages")),
          texts(build.required("steps")));
    }
    return new TemplateOrder.ImageSource.Registry(json.required("registry").asText());
  }

  private static List<String> texts(JsonNode array) {
    List<String> texts = new ArrayList<>();
    array.forEach(each -> texts.add(each.asText()));
    return texts;
  }

  private static Entry decode(String id, String text) throws IOException {
    try {
      JsonNode json = JSON.readTree(text);
      return new Entry(
          new TemplateOrder(
              id,
              source(json),
              json.required("kernel").asText(),
              new MachineSize(
                  json.required("vcpus").asInt(),
                  json.required("memory_mib").asInt(),
                  json.required("disk_mib").asInt()),
              json.path("owner").asText()),
          json.required("image").asText(),
          new TemplateStatus(
              TemplateStatus.State.valueOf(json.required("state").asText()),
              json.required("digest").asText(),
              json.required("message").asText()));
    } catch (JsonProcessingException | IllegalArgumentException e) {
      throw new IOException("the record of template " + id + " cannot be read", e);
    }
  }
}
