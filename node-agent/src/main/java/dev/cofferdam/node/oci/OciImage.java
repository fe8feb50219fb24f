package dev.cofferdam.node.oci;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One image of a layout or archive. Closing it closes that.
 *
 * @param digest of its configuration, which names all of its layers: the same content has the same
 *     one
 */
public record OciImage(Digest digest, ImageConfig config, List<Layer> layers, Blobs blobs)
    implements AutoCloseable {
  private static final ObjectMapper JSON =
      new ObjectMapper(
          com.fasterxml.jackson.core.JsonFactory.builder()
              .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(50).build())
              .build());

  private static final int MAX_DEPTH = 3;

  /**
   * A layer as it lies there.
   *
   * @param packed digest of it as it is; empty where the format tells none
   * @param unpacked digest of the tar archive in it
   */
  record Layer(String name, Optional<Digest> packed, Digest unpacked) {}

  public OciImage {
    layers = List.copyOf(layers);
  }

  /**
   * @param path an OCI layout, a tar of one, or of {@code docker save}; with one image for
   *     linux/amd64
   */
  public static OciImage open(Path path) throws IOException {
    Blobs blobs = Files.isDirectory(path) ? new DirectoryBlobs(path) : TarBlobs.open(path);
    try {
      if (blobs.has("index.json")) {
        return ofLayout(blobs);
      }
      if (blobs.has("manifest.json")) {
        return ofDockerSave(blobs);
      }
      throw new ImageException(
          "no index.json and no manifest.json: neither an OCI layout nor of `docker save`");
    } catch (IOException | RuntimeException e) {
      blobs.close();
      throw e;
    }
  }

  @Override
  public void close() throws IOException {
    blobs.close();
  }

  /** What every index, manifest or configuration goes through, wherever it comes from. */
  static JsonNode parse(byte[] text, String what) throws ImageException {
    try {
      JsonNode json = JSON.readTree(text);
      if (json != null && json.isContainerNode()) {
        return json;
      }
      throw new ImageException(what + " is no JSON object");
    } catch (JsonProcessingException e) {
      throw new ImageException(what + " is no JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new ImageException(what + " cannot be read", e);
    }
  }

  /**
   * Of an index's entries the one for this machine.
   *
   * @throws ImageException where there is none, or more than one
   */
  static JsonNode choose(JsonNode index) throws ImageException {
    List<JsonNode> fitting = new ArrayList<>();
    for (JsonNode manifest : index.path("manifests")) {
      JsonNode platform = manifest.path("platform");
      if (platform.isMissingNode()
          || (platform.path("os").asText().equals("linux")
              && platform.path("architecture").asText().equals("amd64"))) {
        fitting.add(manifest);
      }
    }
    if (fitting.size() != 1) {
      throw new ImageException(
          "it holds %d images for linux/amd64, expected one".formatted(fitting.size()));
    }
    return fitting.getFirst();
  }

  static boolean isIndex(JsonNode json) {
    return json.has("manifests");
  }

  private static OciImage ofLayout(Blobs blobs) throws IOException {
    JsonNode json = parse(small(blobs, "index.json"), "index.json");
    for (int depth = 0; isIndex(json); depth++) {
      if (depth == MAX_DEPTH) {
        throw new ImageException("an index of indexes of indexes");
      }
      json = checked(blobs, Digest.parse(choose(json).path("digest").asText()), "a manifest");
    }
    return ofManifest(blobs, json);
  }

  static OciImage ofManifest(Blobs blobs, JsonNode manifest) throws IOException {
    Digest digest = Digest.parse(manifest.path("config").path("digest").asText());
    ImageConfig config = ImageConfig.of(checked(blobs, digest, "the configuration"));
    List<Layer> layers = new ArrayList<>();
    JsonNode listed = manifest.path("layers");
    requireAsMany(config, listed.size());
    for (int i = 0; i < listed.size(); i++) {
      Digest packed = Digest.parse(listed.path(i).path("digest").asText());
      layers.add(new Layer(blob(packed), Optional.of(packed), config.layers().get(i)));
    }
    return new OciImage(digest, config, layers, blobs);
  }

  private static OciImage ofDockerSave(Blobs blobs) throws IOException {
    JsonNode images = parse(small(blobs, "manifest.json"), "manifest.json");
    if (images.size() != 1) {
      throw new ImageException("it holds %d images, expected one".formatted(images.size()));
    }
    JsonNode image = images.path(0);
    byte[] text = small(blobs, image.path("Config").asText());
    ImageConfig config = ImageConfig.of(parse(text, "the configuration"));
    List<Layer> layers = new ArrayList<>();
    JsonNode listed = image.path("Layers");
    requireAsMany(config, listed.size());
    for (int i = 0; i < listed.size(); i++) {
      layers.add(new Layer(listed.path(i).asText(), Optional.empty(), config.layers().get(i)));
    }
    return new OciImage(Digest.of(text), config, layers, blobs);
  }

  private static void requireAsMany(ImageConfig config, int listed) throws ImageException {
    if (config.layers().size() != listed) {
      throw new ImageException(
          "the manifest lists %d layers and the configuration %d"
              .formatted(listed, config.layers().size()));
    }
  }

  private static JsonNode checked(Blobs blobs, Digest digest, String what) throws IOException {
    byte[] text = small(blobs, blob(digest));
    if (!Digest.of(text).equals(digest)) {
      throw new ImageException(
          "%s has the digest %s, expected %s".formatted(what, Digest.of(text), digest));
    }
    return parse(text, what);
  }

  private static byte[] small(Blobs blobs, String name) throws IOException {
    try (InputStream in = blobs.open(name)) {
      byte[] text = in.readNBytes(ImageLimits.JSON + 1);
      if (text.length > ImageLimits.JSON) {
        throw new ImageException("%s has more than %d bytes".formatted(name, ImageLimits.JSON));
      }
      return text;
    }
  }

  static String blob(Digest digest) {
    return "blobs/sha256/" + digest.hex();
  }
}
