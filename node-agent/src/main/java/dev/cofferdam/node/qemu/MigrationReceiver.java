package dev.cofferdam.node.qemu;

import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * The other end of an outgoing migration: QEMU connects to a socket in its directory and sends
 * memory and devices, which go into two files. QEMU 7.2 knows no {@code file:} migration, and may
 * start no program to write one.
 */
final class MigrationReceiver implements AutoCloseable {
  private final ServerSocketChannel server;
  private final Path socket;
  private final Path ram;
  private final Path state;
  private final long memoryBytes;
  private final CompletableFuture<Void> received = new CompletableFuture<>();
  private final Thread thread;
  private volatile @Nullable SocketChannel connection;
  private boolean whole;

  private MigrationReceiver(
      ServerSocketChannel server, Path socket, Path target, long memoryBytes) {
    this.server = server;
    this.socket = socket;
    this.ram = target.resolve(MachineSpec.RAM);
    this.state = target.resolve(MachineSpec.STATE);
    this.memoryBytes = memoryBytes;
    this.thread = Thread.ofVirtual().name("migration-receiver").start(this::receive);
  }

  /**
   * Listens from now on, for one connection.
   *
   * @param directory where the VMM can connect
   * @param target gets the two files, which must not be there yet
   */
  static MigrationReceiver open(Path directory, Path target, long memoryBytes) throws IOException {
    for (String name : new String[] {MachineSpec.RAM, MachineSpec.STATE}) {
      if (Files.exists(target.resolve(name), java.nio.file.LinkOption.NOFOLLOW_LINKS)) {
        throw new IOException(target.resolve(name) + " is there already");
      }
    }
    Path socket = directory.resolve("migrate.sock");
    // What a process of ours that died in the middle left behind.
    Files.deleteIfExists(socket);
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      server.bind(UnixDomainSocketAddress.of(socket));
      // The VMM is of another user and in no group of ours; only it and we reach the directory.
      Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rwxrwxrwx"));
    } catch (IOException e) {
      server.close();
      throw e;
    }
    return new MigrationReceiver(server, socket, target, memoryBytes);
  }

  /** Where it listens. */
  Path socket() {
    return socket;
  }

  /** The sender has failed: nothing more is waited for. */
  void abort(String why) {
    received.completeExceptionally(new IOException(why));
  }

  /**
   * Waits for the stream's end.
   *
   * @throws MachineException why it was not taken
   */
  void await(Duration patience) {
    try {
      received.get(patience.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw new MachineException("the snapshot was not taken: " + cause(e), e);
    } catch (TimeoutException e) {
      throw new MachineException("the snapshot was not taken within " + patience, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new MachineException("interrupted while taking a snapshot", e);
    }
  }

  /** What was received is whole: it stays when this is closed. */
  void keep() {
    whole = true;
  }

  /** Nothing is written any more on return; what is not to be kept is not there. */
  @Override
  public void close() throws IOException {
    server.close();
    Files.deleteIfExists(socket);
    SocketChannel open = connection;
    if (open != null) {
      open.close();
    }
    boolean interrupted = false;
    while (true) {
      try {
        thread.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (!whole) {
      Files.deleteIfExists(ram);
      Files.deleteIfExists(state);
    }
  }

  private void receive() {
    try (SocketChannel from = server.accept()) {
      connection = from;
      if (!server.isOpen()) {
        // Closed before it could see the connection.
        return;
      }
      try (FileChannel memory = SparseFile.create(ram, memoryBytes);
          FileChannel devices = SparseFile.create(state, 0)) {
        MigrationSplitter.split(from, memoryBytes, memory, devices);
      }
      received.complete(null);
    } catch (IOException | RuntimeException e) {
      received.completeExceptionally(e);
    }
  }

  private static String cause(ExecutionException e) {
    Throwable cause = e.getCause();
    return cause == null ? "unknown" : String.valueOf(cause.getMessage());
  }
}
