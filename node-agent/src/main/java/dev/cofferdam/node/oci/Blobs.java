package dev.cofferdam.node.oci;

import java.io.IOException;
import java.io.InputStream;

/** Where an image's parts lie, by the names that the format gives them. */
interface Blobs extends AutoCloseable {
  /**
   * @throws ImageException when it is not there
   */
  InputStream open(String name) throws IOException;

  boolean has(String name) throws IOException;

  @Override
  void close() throws IOException;
}
