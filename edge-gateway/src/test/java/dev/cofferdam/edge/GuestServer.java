package dev.cofferdam.edge;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * What listens on a port of a sandbox: it reads a head, as it came, and does with the rest what the
 * test says.
 */
final class GuestServer implements AutoCloseable {
  /** After the head was read. */
  @FunctionalInterface
  interface Program {
    void run(Connection connection) throws IOException, InterruptedException;
  }

  /** Every head that came. */
  final BlockingQueue<String> heads = new LinkedBlockingQueue<>();

  /** How connections ended that the program read to their end: {@code end} or {@code reset}. */
  final BlockingQueue<String> ends = new LinkedBlockingQueue<>();

  private final ServerSocket listening = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
  private final Program program;

  GuestServer(Program program) throws IOException {
    this.program = program;
    Thread.ofVirtual().start(this::accept);
  }

  /** A connection whose head was read. */
  record Connection(String head, InputStream in, OutputStream out) {
    void say(String text) throws IOException {
      out.write(text.getBytes(StandardCharsets.ISO_8859_1));
      out.flush();
    }

    String read(int bytes) throws IOException {
      return new String(in.readNBytes(bytes), StandardCharsets.ISO_8859_1);
    }
  }

  /** Says always the same. */
  static GuestServer saying(String answer) throws IOException {
    return new GuestServer(connection -> connection.say(answer));
  }

  int port() {
    return listening.getLocalPort();
  }

  String nextHead() throws InterruptedException {
    String head = heads.poll(60, TimeUnit.SECONDS);
    if (head == null) {
      throw new AssertionError("no request within 60 s");
    }
    return head;
  }

  private void accept() {
    try {
      while (true) {
        Socket socket = listening.accept();
        Thread.ofVirtual().start(() -> serve(socket));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private void serve(Socket socket) {
    try (socket) {
      StringBuilder head = new StringBuilder();
      while (head.indexOf("\r\n\r\n") < 0) {
        int next = socket.getInputStream().read();
        if (next < 0) {
          return;
        }
        head.append((char) next);
      }
      heads.add(head.toString());
      program.run(
          new Connection(head.toString(), socket.getInputStream(), socket.getOutputStream()));
    } catch (IOException e) {
      ends.add("reset");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() throws IOException {
    listening.close();
  }
}
