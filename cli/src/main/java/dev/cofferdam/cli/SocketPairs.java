package dev.cofferdam.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

/** Joins two connections: what comes from one goes to the other, ends included. */
final class SocketPairs {
  private static final int BUFFER = 64 << 10;

  private SocketPairs() {}

  /** Returns at once; both are closed when both directions have ended. */
  static void join(SocketChannel one, SocketChannel other) {
    Thread.ofVirtual()
        .start(() -> {
          try (one;
              other) {
            Thread back = Thread.ofVirtual().start(() -> pump(other, one));
            pump(one, other);
            back.join();
          } catch (IOException e) {
            // Closed already.
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
  }

  private static void pump(SocketChannel from, SocketChannel to) {
    try {
      ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
      while (from.read(buffer) >= 0) {
        buffer.flip();
        while (buffer.hasRemaining()) {
          to.write(buffer);
        }
        buffer.clear();
      }
      to.shutdownOutput();
    } catch (IOException e) {
      // What one side breaks off, the other loses too.
      close(from);
      close(to);
    }
  }

  private static void close(SocketChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      // It is gone.
    }
  }
}
