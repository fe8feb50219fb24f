package dev.cofferdam.edge;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * What listens in a guest: a REPL that gives back what it is asked, but for {@code throw}, {@code
 * odd}, {@code garbage}, {@code flood}, {@code silent} and {@code end}.
 */
final class FakeRepl implements AutoCloseable {
  private final ServerSocket server;
  final List<String> asked = new CopyOnWriteArrayList<>();

  FakeRepl(int port) throws IOException {
    server = new ServerSocket(port, 0, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
  }

  private void accept() {
    try {
      while (true) {
        Socket connection = server.accept();
        Thread.ofVirtual().start(() -> serve(connection));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private void serve(Socket connection) {
    try (connection;
        BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(connection.getInputStream(), StandardCharsets.UTF_8))) {
      OutputStream out = connection.getOutputStream();
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        asked.add(line);
        if (line.contains("end")) {
          return;
        }
        out.write(answer(line).getBytes(StandardCharsets.UTF_8));
      }
    } catch (IOException e) {
      // Broken off.
    }
  }

  private static String answer(String line) {
    if (line.contains("garbage")) {
      return "nonsense\n";
    }
    if (line.contains("flood")) {
      return "x".repeat(17 << 20);
    }
    if (line.contains("silent")) {
      return "";
    }
    if (line.contains("odd")) {
      return "{\"error\":{\"constructorName\":\"a b\",\"message\":\"no\"}}\n";
    }
    return line.contains("throw")
        ? "{\"error\":{\"constructorName\":\"RangeError\",\"message\":\"no\"}}\n"
        : "{\"ok\":" + line + "}\n";
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
