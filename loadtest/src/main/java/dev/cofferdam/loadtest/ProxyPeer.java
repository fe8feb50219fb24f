package dev.cofferdam.loadtest;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Another proxy that ends TLS on both sides: a process of its own where the gateway's connections
 * come from, used by CONNECT. Its files go with it.
 */
final class ProxyPeer implements AutoCloseable {
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(60);

  private final Process process;
  private final Path directory;
  private final InetSocketAddress address;
  private final Path authority;

  private ProxyPeer(Process process, Path directory, InetSocketAddress address, Path authority) {
    this.process = process;
    this.directory = directory;
    this.address = address;
    this.authority = authority;
  }

  /**
   * Starts one and waits until it takes connections.
   *
   * @param directory its own, removed in the end
   * @param log in it, shown when it does not start
   * @param authority what its clients have to trust, which it may yet make
   */
  static ProxyPeer start(
      Path directory,
      List<String> command,
      Map<String, String> environment,
      InetSocketAddress address,
      Path log,
      Path authority)
      throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().putAll(environment);
    ProxyPeer peer = new ProxyPeer(builder.start(), directory, address, authority);
    boolean up = false;
    try {
      up = peer.await();
      if (!up) {
        throw new IOException(command.getFirst() + " did not start: " + Files.readString(log));
      }
      return peer;
    } finally {
      if (!up) {
        peer.close();
      }
    }
  }

  private boolean await() throws IOException {
    long end = System.nanoTime() + PATIENCE_NANOS;
    while (System.nanoTime() < end) {
      try (Socket socket = new Socket()) {
        socket.connect(address, 1000);
        return true;
      } catch (IOException e) {
        try {
          if (process.waitFor(100, TimeUnit.MILLISECONDS)) {
            return false;
          }
        } catch (InterruptedException interrupted) {
          Thread.currentThread().interrupt();
          return false;
        }
      }
    }
    return false;
  }

  /** One of this host's that nobody uses now. */
  static InetSocketAddress freeAddress() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return new InetSocketAddress(socket.getInetAddress(), socket.getLocalPort());
    }
  }

  InetSocketAddress address() {
    return address;
  }

  Path authority() {
    return authority;
  }

  @Override
  public void close() throws IOException {
    process.destroy();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
