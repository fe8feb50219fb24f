package dev.cofferdam.edge;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * What listens in a guest: a REPL that gives back what it is asked, but for {@code throw}, {@code
 * garbage} and {@code end}.
 */
final class FakeRepl implements AutoCloseable {
  private final ServerSocket server;

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

  private static void serve(Socket connection) {
    try (connection;
        BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(connection.getInputStream(), StandardCharsets.UTF_8))) {
      OutputStream out = connection.getOutputStream();
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
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
    return line.contains("throw")
        ? "{\"error\":{\"constructorName\":\"RangeError\",\"message\":\"no\"}}\n"
        : "{\"ok\":" + line + "}\n";
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
