package dev.cofferdam.gateway;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;

/** An upstream in cleartext that answers each head with the very bytes it is told to. */
final class ScriptedUpstream implements AutoCloseable {
  private static final long PATIENCE_S = 60;

  private final ServerSocket server;
  private final UnaryOperator<String> script;
  private final List<Socket> accepted = new CopyOnWriteArrayList<>();
  private final ByteArrayOutputStream received = new ByteArrayOutputStream();

  /**
   * @param script from the head of a request, its empty line included, to what is answered
   */
  ScriptedUpstream(UnaryOperator<String> script) throws IOException {
    this.script = script;
    server = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.2"));
    Thread.ofVirtual().start(this::accept);
  }

  int port() {
    return server.getLocalPort();
  }

  /** All that came so far, on whatever connection. */
  String received() {
    synchronized (received) {
      return received.toString(StandardCharsets.ISO_8859_1);
    }
  }

  /** Likewise, once that ends so: the answer to a head does not wait for the body behind it. */
  String receivedTo(String end) throws InterruptedException {
    long last = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
    synchronized (received) {
      while (!received().endsWith(end)) {
        long left = TimeUnit.NANOSECONDS.toMillis(last - System.nanoTime());
        if (left <= 0) {
          throw new AssertionError("no '" + end + "' within " + PATIENCE_S + " s: " + received());
        }
        received.wait(left);
      }
      return received();
    }
  }

  private void accept() {
    try {
      while (true) {
        Socket socket = server.accept();
        accepted.add(socket);
        Thread.ofVirtual().start(() -> serve(socket));
      }
    } catch (IOException e) {
      // The test is over.
    }
  }

  private void serve(Socket socket) {
    try {
      InputStream in = socket.getInputStream();
      StringBuilder head = new StringBuilder();
      for (int b = in.read(); b >= 0; b = in.read()) {
        synchronized (received) {
          received.write(b);
          received.notifyAll();
        }
        head.append((char) b);
        if (head.toString().endsWith("\r\n\r\n")) {
          String answer = script.apply(head.toString());
          socket.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
          head.setLength(0);
        }
      }
    } catch (IOException e) {
      // The gateway closed it.
    }
  }

  @Override
  public void close() {
    try {
      server.close();
      for (Socket socket : accepted) {
        socket.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
