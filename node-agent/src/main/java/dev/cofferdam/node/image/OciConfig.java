package dev.cofferdam.node.image;

import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.node.oci.Registry;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

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
 */
public record OciConfig(
    Path made, Path files, Path kernels, int limitMib, List<Registry> registries) {
  public OciConfig {
    registries = List.copyOf(registries);
  }

  public static OciConfig read(Settings settings) {
    return new OciConfig(
        settings.path("image.made-root", Path.of("/var/lib/cofferdam/node/images")),
        settings.path("image.files", Path.of("/var/lib/cofferdam/node/image-files")),
        settings.path("kernel.files", Path.of("/var/lib/cofferdam/node/kernels")),
        settings.integer("image.limit-mib", 8192, 16, 1 << 20),
        registries(settings));
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
