package dev.cofferdam.node.oci;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/** An OCI layout as a directory. */
record DirectoryBlobs(Path root) implements Blobs {
  /** What an image may name: nothing that leads out. */
  private static final Pattern NAME =
      Pattern.compile("index\\.json|oci-layout|manifest\\.json|blobs/sha256/[0-9a-f]{64}");

  @Override
  public InputStream open(String name) throws IOException {
    if (!has(name)) {
      throw new ImageException(name + " is not in the layout");
    }
    return Files.newInputStream(root.resolve(name));
  }

  @Override
  public boolean has(String name) {
    return NAME.matcher(name).matches() && Files.isRegularFile(root.resolve(name));
  }

  @Override
  public void close() {}
}
