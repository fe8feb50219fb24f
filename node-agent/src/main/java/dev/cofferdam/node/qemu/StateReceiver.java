package dev.cofferdam.node.qemu;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The other end of an outgoing migration: QEMU connects to a socket in its directory and sends its
 * devices' state, which goes into a file. QEMU 7.2 knows no {@code file:} migration, and may start
 * no program to write one.
 */
final class StateReceiver implements AutoCloseable {
  /** Devices alone, memory is shared: 0.4 MB were measured. */
  private static final long MAX_BYTES = 64L << 20;

  private final ServerSocketChannel server;
  private final Path socket;
  private final CompletableFuture<Long> received = new CompletableFuture<>();

  private StateReceiver(ServerSocketChannel server, Path socket) {
    this.server = server;
    this.socket = socket;
  }

  /**
   * Listens from now on, for one connection.
   *
   * @param target is made
   */
  static StateReceiver open(Path directory, Path target) throws IOException {
    Path socket = directory.resolve("migrate.sock");
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      server.bind(UnixDomainSocketAddress.of(socket));
      // The VMM is of another user and in no group of ours; only it and we reach the directory.
      Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rwxrwxrwx"));
    } catch (IOException e) {
      server.close();
      throw e;
    }
    StateReceiver receiver = new StateReceiver(server, socket);
    Thread.ofVirtual().name("state-receiver").start(() -> receiver.receive(target));
    return receiver;
  }

  /** Where it listens. */
  Path socket() {
    return socket;
  }

  /** Waits for the stream's end; says how many bytes it had. */
  long await(Duration patience) {
    try {
      return received.get(patience.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw new QmpException("the state was not received: " + e.getMessage(), e);
    } catch (TimeoutException e) {
      throw new QmpException("the state was not received within " + patience, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QmpException("interrupted while receiving the state", e);
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
    Files.deleteIfExists(socket);
  }

  private void receive(Path target) {
    try (SocketChannel from = server.accept();
        FileChannel to =
            FileChannel.open(target, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(64 << 10);
      long bytes = 0;
      while (from.read(buffer) >= 0) {
        buffer.flip();
        bytes += buffer.remaining();
        if (bytes > MAX_BYTES) {
          throw new IOException("the state is larger than " + MAX_BYTES + " bytes");
        }
        while (buffer.hasRemaining()) {
          to.write(buffer);
        }
        buffer.clear();
      }
      received.complete(bytes);
    } catch (IOException | RuntimeException e) {
      received.completeExceptionally(e);
    }
  }
}
