package dev.cofferdam.node.oci;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** An image in the making, as an OCI layout or as `docker save` writes it. */
public final class TestImage {
  private static final ObjectMapper JSON = new ObjectMapper();

  public final ObjectNode config = JSON.createObjectNode();
  private final ArrayNode diffs;
  private final List<byte[]> layers = new ArrayList<>();

  public TestImage() {
    config.put("os", "linux").put("architecture", "amd64");
    ObjectNode process = config.putObject("config");
    process.putArray("Env").add("PATH=/opt/bin:/bin").add("GREETING=hello=world");
    process.put("WorkingDir", "/srv").put("User", "1000:1001");
    diffs = config.putObject("rootfs").put("type", "layers").putArray("diff_ids");
  }

  public TestImage layer(TestLayer layer) {
    return layer(layer.tar(), TestLayer.gzip(layer.tar()));
  }

  public TestImage layer(byte[] tar, byte[] packed) {
    diffs.add(Digest.of(tar).toString());
    layers.add(packed);
    return this;
  }

  public Path layout(Path directory) throws IOException {
    Path blobs = Files.createDirectories(directory.resolve("blobs/sha256"));
    ObjectNode manifest = JSON.createObjectNode().put("schemaVersion", 2);
    manifest.putObject("config").put("digest", blob(blobs, bytes(config)).toString());
    ArrayNode list = manifest.putArray("layers");
    for (byte[] layer : layers) {
      list.addObject().put("digest", blob(blobs, layer).toString());
    }
    ObjectNode index = JSON.createObjectNode().put("schemaVersion", 2);
    index.putArray("manifests").addObject().put("digest", blob(blobs, bytes(manifest)).toString());
    Files.write(directory.resolve("index.json"), bytes(index));
    Files.writeString(directory.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    return directory;
  }

  public Path dockerSave(Path file) throws IOException {
    TestLayer archive = new TestLayer();
    ObjectNode image = JSON.createObjectNode();
    String name = Digest.of(bytes(config)).hex() + ".json";
    image.put("Config", name);
    ArrayNode list = image.putArray("Layers");
    for (int i = 0; i < layers.size(); i++) {
      list.add(i + "/layer.tar");
      archive.file(i + "/layer.tar", new String(layers.get(i), StandardCharsets.ISO_8859_1));
    }
    archive.file(name, new String(bytes(config), StandardCharsets.UTF_8));
    ArrayNode images = JSON.createArrayNode().add(image);
    archive.file("manifest.json", images.toString());
    return Files.write(file, archive.tar());
  }

  static Digest blob(Path blobs, byte[] content) throws IOException {
    Digest digest = Digest.of(content);
    Files.write(blobs.resolve(digest.hex()), content);
    return digest;
  }

  private static byte[] bytes(ObjectNode json) {
    return json.toString().getBytes(StandardCharsets.UTF_8);
  }
}
