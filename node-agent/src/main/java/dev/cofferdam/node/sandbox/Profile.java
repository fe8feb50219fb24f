package dev.cofferdam.node.sandbox;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.time.Duration;
import java.util.Collections;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What of a sandbox's order is needed again: to make its machine when it wakes, and its guest when
 * it boots anew. It holds placeholders, and is for this process alone.
 *
 * @param image digest
 * @param kernelArguments the kernel's command line
 * @param fingerprint of the hypervisor and the machine that it started with
 * @param idle it is suspended after so long without anything to do; zero: never
 * @param environment of every process, placeholders included
 * @param caCertificate PEM, or empty
 * @param volumes ids by the directory they are mounted at, as {@link Mounts} has them
 */
record Profile(
    String image,
    String kernelArguments,
    String fingerprint,
    Duration idle,
    Map<String, String> environment,
    String caCertificate,
    SortedMap<String, String> volumes) {
  private static final ObjectMapper JSON = new ObjectMapper();

  Profile {
    environment = Map.copyOf(environment);
    volumes = Collections.unmodifiableSortedMap(new TreeMap<>(volumes));
  }

  String encoded() {
    ObjectNode json =
        JSON.createObjectNode()
            .put("image", image)
            .put("kernel_arguments", kernelArguments)
            .put("fingerprint", fingerprint)
            .put("idle_ms", idle.toMillis())
            .put("ca_certificate", caCertificate);
    ObjectNode variables = json.putObject("environment");
    new TreeMap<>(environment).forEach(variables::put);
    ObjectNode mounts = json.putObject("volumes");
    volumes.forEach(mounts::put);
    return json.toString();
  }

  static Profile decode(String text) throws IOException {
    try {
      JsonNode json = JSON.readTree(text);
      return new Profile(
          json.required("image").asText(),
          json.required("kernel_arguments").asText(),
          json.required("fingerprint").asText(),
          Duration.ofMillis(json.required("idle_ms").asLong()),
          texts(json.required("environment")),
          json.required("ca_certificate").asText(),
          // One from before there were volumes has none.
          texts(json.path("volumes")));
    } catch (JsonProcessingException | IllegalArgumentException e) {
      throw new IOException("a sandbox's profile cannot be read: " + e.getMessage(), e);
    }
  }

  private static SortedMap<String, String> texts(JsonNode object) {
    SortedMap<String, String> texts = new TreeMap<>();
    object.properties().forEach(each -> texts.put(each.getKey(), each.getValue().asText()));
    return texts;
  }

  /** Nothing of it belongs in a log. */
  @Override
  public String toString() {
    return "Profile[" + image + "]";
  }
}
