package dev.cofferdam.node.template;

import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.image.ImageStore;
import dev.cofferdam.node.oci.ImageException;
import dev.cofferdam.node.oci.OciImage;
import dev.cofferdam.node.oci.RegistryClient;
import dev.cofferdam.node.template.TemplateOrder.ImageSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The operator's directories: what a tenant names there is a name, never a path.
 *
 * @param files OCI layouts and archives
 * @param kernels files of kernels
 * @param registries those that are allowed
 * @param builds in sandboxes
 * @param images with the built-in one
 * @param baseDigest the built-in one's digest
 */
public record ImageSources(
    Path files,
    Path kernels,
    RegistryClient registries,
    Builds builds,
    ImageStore images,
    String baseDigest)
    implements OrderedTemplates.Sources {
  /** Runs what has to be run for an image. */
  @FunctionalInterface
  public interface Builds {
    OciImage build(ImageSource.Built source) throws IOException;
  }

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}");

  @Override
  public OciImage open(ImageSource source, String owner) throws IOException {
    return switch (source) {
      case ImageSource.File(String name) -> {
        Path file = named(files, name, "image");
        if (!Files.exists(file)) {
          throw new ImageException("there is no image file " + name + " on this node");
        }
        yield OciImage.open(file);
      }
      case ImageSource.Registry(String reference) -> registries.open(reference, owner);
      case ImageSource.Built built -> builds.build(built);
    };
  }

  @Override
  public Optional<Path> kernel(String name) throws IOException {
    if (name.isEmpty()) {
      return Optional.empty();
    }
    Path file = named(kernels, name, "kernel");
    if (!Files.isRegularFile(file)) {
      throw new ImageException("there is no kernel " + name + " on this node");
    }
    return Optional.of(file);
  }

  @Override
  public Image base() throws IOException {
    return images.open(baseDigest);
  }

  private static Path named(Path directory, String name, String what) throws ImageException {
    if (!NAME.matcher(name).matches()) {
      throw new ImageException("%s is '%s', expected a name %s".formatted(what, name, NAME));
    }
    return directory.resolve(name);
  }
}
