package dev.cofferdam.testkit;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;

/**
 * A port that refuses connections for as long as this is open. The port of a server that has closed
 * may be another's by the time it is tried.
 */
public final class ClosedPort implements AutoCloseable {
  private final Socket bound = new Socket();

  private ClosedPort(String address) throws IOException {
    bound.bind(new InetSocketAddress(address, 0));
  }

  /**
   * @param address at which it is closed
   */
  public static ClosedPort at(String address) throws IOException {
    return new ClosedPort(address);
  }

  public int port() {
    return bound.getLocalPort();
  }

  @Override
  public void close() throws IOException {
    bound.close();
  }
}
