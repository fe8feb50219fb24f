package dev.cofferdam.node.guest;

import java.nio.file.Path;

/** Makes the link to a guest's agent. */
public interface GuestConnector {
  /**
   * Begins to connect and goes on until it succeeds or is closed; returns at once.
   *
   * @param link the slot's Unix socket
   */
  Guest connect(Path link);
}
