package dev.cofferdam.node.oci;

import java.io.IOException;

/** What is wrong with an image, for whoever made it. */
public final class ImageException extends IOException {
  private static final long serialVersionUID = 1;

  public ImageException(String message) {
    super(message);
  }

  public ImageException(String message, Throwable cause) {
    super(message, cause);
  }
}
