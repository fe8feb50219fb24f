package dev.cofferdam.node.image;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Images by digest, each in a directory of its own under one root. Somebody else puts them there.
 */
public final class ImageStore {
  /** A digest is a directory's name and goes into paths: hex alone. */
  private static final Pattern DIGEST = Pattern.compile("[0-9a-f]{16,64}");

  private static final List<String> PARTS =
      List.of("vmlinuz", "initrd", "disk.ext4", "manifest.json");

  private static final String KERNEL_ARGUMENTS =
      "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on";

  private final Path root;

  public ImageStore(Path root) {
    this.root = root;
  }

  /**
   * @throws IOException naming the image and what of it is missing or wrong
   */
  public Image open(String digest) throws IOException {
    if (!DIGEST.matcher(digest).matches()) {
      throw new IOException("image is '" + digest + "', expected a digest " + DIGEST);
    }
    Path directory = root.resolve(digest);
    for (String part : PARTS) {
      requirePart(directory, part);
    }
    JsonNode manifest = new ObjectMapper().readTree(directory.resolve("manifest.json").toFile());
    List<String> warmUp = new ArrayList<>();
    manifest.path("warm_up").forEach(command -> warmUp.add(command.asText()));
    String kernelArguments = manifest.path("cmdline").asText(KERNEL_ARGUMENTS);
    requirePart(directory, MachineSpec.root(kernelArguments));
    return new Image(
        digest,
        directory,
        kernelArguments,
        warmUp,
        Math.toIntExact(Files.size(directory.resolve("disk.ext4")) >> 20));
  }

  private static void requirePart(Path directory, String part) throws IOException {
    if (!Files.isRegularFile(directory.resolve(part))) {
      throw new IOException(
          "image %s has no %s in %s".formatted(directory.getFileName(), part, directory));
    }
  }
}
