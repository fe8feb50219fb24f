package dev.cofferdam.node.oci;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The file system of a sandbox as an image of two layers: what was taken of it, and over that one
 * of our own, which takes away what is that sandbox's alone. Whoever packed the first cannot keep
 * the second from doing so.
 */
public final class BuiltImage {
  private static final String TAKEN = "taken";
  private static final String CLEAN = "clean";
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What tells one machine from another, and what a guest's agent or boot writes anew. */
  private static final List<String> FILES =
      List.of(
          "etc/.wh.hostname",
          "etc/.wh.hosts",
          "etc/.wh.machine-id",
          "etc/.wh.resolv.conf",
          "etc/ssh/.wh.ssh_host_dsa_key",
          "etc/ssh/.wh.ssh_host_dsa_key.pub",
          "etc/ssh/.wh.ssh_host_ecdsa_key",
          "etc/ssh/.wh.ssh_host_ecdsa_key.pub",
          "etc/ssh/.wh.ssh_host_ed25519_key",
          "etc/ssh/.wh.ssh_host_ed25519_key.pub",
          "etc/ssh/.wh.ssh_host_rsa_key",
          "etc/ssh/.wh.ssh_host_rsa_key.pub",
          "usr/local/share/ca-certificates/.wh.cofferdam.crt",
          "usr/local/share/cofferdam/.wh.java-cacerts",
          "var/lib/dbus/.wh.machine-id",
          "var/lib/systemd/.wh.random-seed",
          "var/lib/urandom/.wh.random-seed");

  /** Emptied, with their modes: a boot fills them, or apt does. */
  private static final Map<String, Integer> DIRECTORIES =
      Map.of(
          "dev", 0755,
          "proc", 0555,
          "run", 0755,
          "sys", 0555,
          "tmp", 01777,
          "var/cache/apt", 0755,
          "var/lib/apt/lists", 0755,
          "var/tmp", 01777);

  private BuiltImage() {}

  /**
   * @param taken a tar archive of a root; deleted when the image is closed
   */
  public static OciImage of(Path taken) throws IOException {
    byte[] clean = clean();
    ObjectNode json = JSON.createObjectNode().put("architecture", "amd64").put("os", "linux");
    ArrayNode layers = json.putObject("rootfs").put("type", "layers").putArray("diff_ids");
    layers.add(Digest.of(taken).toString()).add(Digest.of(clean).toString());
    ImageConfig config = ImageConfig.of(json);
    return new OciImage(
        Digest.of(JSON.writeValueAsBytes(json)),
        config,
        List.of(
            new OciImage.Layer(TAKEN, Optional.empty(), config.layers().get(0)),
            new OciImage.Layer(CLEAN, Optional.empty(), config.layers().get(1))),
        new Parts(taken, clean));
  }

  private static byte[] clean() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    TarWriter tar = new TarWriter(bytes);
    for (String file : FILES) {
      tar.header(entry(file, '0', 0644));
    }
    for (String directory : DIRECTORIES.keySet().stream().sorted().toList()) {
      tar.header(entry(directory + "/.wh..wh..opq", '0', 0644));
      tar.header(entry(directory, '5', DIRECTORIES.getOrDefault(directory, 0755)));
    }
    tar.finish();
    return bytes.toByteArray();
  }

  private static TarEntry entry(String name, char type, int mode) {
    return new TarEntry(name, type, mode, 0, 0, 0, 0, "", Map.of(), 0);
  }

  private static final class Parts implements Blobs {
    private final Path taken;
    private final byte[] clean;

    Parts(Path taken, byte[] clean) {
      this.taken = taken;
      this.clean = clean;
    }

    @Override
    public InputStream open(String name) throws IOException {
      return name.equals(TAKEN) ? Files.newInputStream(taken) : new ByteArrayInputStream(clean);
    }

    @Override
    public boolean has(String name) {
      return name.equals(TAKEN) || name.equals(CLEAN);
    }

    @Override
    public void close() throws IOException {
      Files.deleteIfExists(taken);
    }
  }
}
