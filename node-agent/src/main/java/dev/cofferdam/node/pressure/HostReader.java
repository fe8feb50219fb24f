package dev.cofferdam.node.pressure;

import java.io.IOException;

/** Looks at the host. */
@FunctionalInterface
public interface HostReader {
  /**
   * @throws IOException when it cannot be looked at, which may itself be for want of descriptors
   */
  HostView read() throws IOException;
}
