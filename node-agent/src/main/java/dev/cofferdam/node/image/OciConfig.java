package dev.cofferdam.node.image;

import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.node.oci.Registry;
import dev.cofferdam.node.oci.RegistryCredentials;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Where the images of tenants' templates come from, and where they go.
 *
 * @param made {@code image.made-root}, default /var/lib/cofferdam/node/images: a directory an
 *     image; the same in the helper's configuration, and on the same file system as the sandboxes
 * @param files {@code image.files}, default /var/lib/cofferdam/node/image-files: OCI layouts and
 *     archives that tenants may name
 * @param kernels {@code kernel.files}, default /var/lib/cofferdam/node/kernels: that tenants may
 *     name
 * @param limitMib {@code image.limit-mib}, default 8192, 16 to 1,048,576: of one image's layers
 *     unpacked, in MiB
 * @param registries {@code registry.allowed}, default none: {@code host[:port]} with commas between
 *     them, {@code http://} before those that speak plain HTTP. Nothing is asked of any other,
 *     redirects and token services included
 * @param credentials {@code registry.credentials}, default none: a file as {@link
 *     RegistryCredentials} has it, which nobody but its owner can read. Read again for each pull
 */
public record OciConfig(
    Path made,
    Path files,
    Path kernels,
    int limitMib,
    List<Registry> registries,
    Optional<Path> credentials) {
  public OciConfig {
    registries = List.copyOf(registries);
  }

  public static OciConfig read(Settings settings) {
    return new OciConfig(
        settings.path("image.made-root", Path.of("/var/lib/cofferdam/node/images")),
        settings.path("image.files", Path.of("/var/lib/cofferdam/node/image-files")),
        settings.path("kernel.files", Path.of("/var/lib/cofferdam/node/kernels")),
        settings.integer("image.limit-mib", 8192, 16, 1 << 20),
        registries(settings),
        credentials(settings));
  }

  private static Optional<Path> credentials(Settings settings) {
    Optional<Path> file = settings.optionalPath("registry.credentials");
    if (file.isPresent()) {
      try {
        var _ = RegistryCredentials.read(file.get());
      } catch (IOException e) {
        settings.problem("registry.credentials", "cannot be used: " + e.getMessage());
      }
    }
    return file;
  }

  /** As they are now. */
  public RegistryCredentials registryCredentials() throws IOException {
    return credentials.isPresent()
        ? RegistryCredentials.read(credentials.get())
        : RegistryCredentials.NONE;
  }

  private static List<Registry> registries(Settings settings) {
    List<Registry> registries = new ArrayList<>();
    for (String each : settings.text("registry.allowed", "").split(",", -1)) {
      if (!each.isBlank()) {
        try {
          registries.add(Registry.parse(each.strip()));
        } catch (IllegalArgumentException e) {
          settings.problem("registry.allowed", String.valueOf(e.getMessage()));
        }
      }
    }
    return registries;
  }
}
