package dev.cofferdam.node.oci;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What an image says of itself (OCI image specification, config.md).
 *
 * @param environment of its processes, at most 256 variables
 * @param directory that they start in; empty: the user's home
 * @param user that they are of, as {@code user} or {@code uid[:gid]}; empty: root
 * @param layers digests of its layers, unpacked, the lowest first
 */
public record ImageConfig(
    Map<String, String> environment, String directory, String user, List<Digest> layers) {
  private static final int MAX_ENVIRONMENT = 256;
  private static final int MAX_TEXT = 4096;

  public ImageConfig {
    environment = Map.copyOf(environment);
    layers = List.copyOf(layers);
  }

  static ImageConfig of(JsonNode json) throws ImageException {
    String platform = json.path("os").asText() + "/" + json.path("architecture").asText();
    if (!platform.equals("linux/amd64")) {
      throw new ImageException("it is for " + platform + ", expected linux/amd64");
    }
    Map<String, String> environment = new LinkedHashMap<>();
    for (JsonNode variable : json.path("config").path("Env")) {
      String text = text(variable);
      int equals = text.indexOf('=');
      if (equals < 1) {
        throw new ImageException("its environment has '" + text + "', expected NAME=VALUE");
      }
      environment.put(text.substring(0, equals), text.substring(equals + 1));
    }
    if (environment.size() > MAX_ENVIRONMENT) {
      throw new ImageException(
          "its environment has %d variables, expected at most %d"
              .formatted(environment.size(), MAX_ENVIRONMENT));
    }
    List<Digest> layers = new ArrayList<>();
    for (JsonNode layer : json.path("rootfs").path("diff_ids")) {
      layers.add(Digest.parse(layer.asText()));
    }
    return new ImageConfig(
        environment,
        text(json.path("config").path("WorkingDir")),
        text(json.path("config").path("User")),
        layers);
  }

  private static String text(JsonNode node) throws ImageException {
    String text = node.asText();
    if (text.length() > MAX_TEXT || text.indexOf('\0') >= 0) {
      throw new ImageException(
          "its configuration has a text of %d characters, expected at most %d without NUL"
              .formatted(text.length(), MAX_TEXT));
    }
    return text;
  }
}
