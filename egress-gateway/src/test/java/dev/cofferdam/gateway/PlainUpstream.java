package dev.cofferdam.gateway;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * An upstream in cleartext. It answers every request but those for {@code /held}, and leaves HTTP
 * unasked for {@code /switch}.
 */
final class PlainUpstream implements AutoCloseable {
  private final ServerSocket server;
  private final List<Socket> accepted = new CopyOnWriteArrayList<>();
  private final List<String> requests = new CopyOnWriteArrayList<>();
  private final BlockingQueue<String> arriving = new LinkedBlockingQueue<>();

  PlainUpstream() throws IOException {
    server = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.2"));
    Thread.ofVirtual().start(this::accept);
  }

  int port() {
    return server.getLocalPort();
  }

  /** Ever accepted. */
  int connections() {
    return accepted.size();
  }

  /** The first lines, in the order in which they came. */
  List<String> requests() {
    return new ArrayList<>(requests);
  }

  void await(String request) throws InterruptedException {
    while (true) {
      String next = arriving.poll(20, TimeUnit.SECONDS);
      if (next == null) {
        throw new AssertionError("no such request came: " + request);
      }
      if (next.equals(request)) {
        return;
      }
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
    try (BufferedReader in =
        new BufferedReader(
            new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1))) {
      for (String first = in.readLine(); first != null; first = in.readLine()) {
        for (String line = first; line != null && !line.isEmpty(); line = in.readLine()) {
          // Headers are of no interest.
        }
        requests.add(first);
        arriving.add(first);
        if (!first.contains("/held")) {
          String answer =
              first.contains("/switch")
                  ? String.join(
                      "\r\n",
                      "HTTP/1.1 101 Switching Protocols",
                      "Connection: Upgrade",
                      "Upgrade: websocket",
                      "",
                      "not HTTP",
                      "",
                      "")
                  : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
          socket.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
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
