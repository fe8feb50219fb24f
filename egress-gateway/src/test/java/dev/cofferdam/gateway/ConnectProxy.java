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
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.net.ServerSocketFactory;

/**
 * A proxy that answers CONNECT and relays; for names, which it would resolve, to 127.0.0.2. It
 * keeps what it was asked, and every byte that it relayed towards upstreams.
 */
final class ConnectProxy implements AutoCloseable {
  private final ServerSocket server;
  private final List<Socket> open = new CopyOnWriteArrayList<>();
  private final ByteArrayOutputStream relayed = new ByteArrayOutputStream();

  /** The heads, each with its empty line. */
  final List<String> asked = new CopyOnWriteArrayList<>();

  /** What it says instead of relaying; then it waits. */
  volatile Optional<String> instead = Optional.empty();

  /** It hangs up after that. */
  volatile boolean hangsUp;

  /** What the upstream says before anybody has asked is sent in one piece with the answer. */
  volatile boolean serverFirst;

  ConnectProxy(ServerSocketFactory sockets) throws IOException {
    server = sockets.createServerSocket(0, 50, InetAddress.getByName("127.0.0.2"));
    Thread.ofVirtual().start(this::accept);
  }

  int port() {
    return server.getLocalPort();
  }

  String relayed() {
    return relayed.toString(StandardCharsets.ISO_8859_1);
  }

  private void accept() {
    try {
      while (true) {
        Socket socket = server.accept();
        open.add(socket);
        Thread.ofVirtual().start(() -> serve(socket));
      }
    } catch (IOException e) {
      // The test is over.
    }
  }

  private void serve(Socket client) {
    try (client) {
      StringBuilder head = new StringBuilder();
      InputStream in = client.getInputStream();
      while (!head.toString().endsWith("\r\n\r\n")) {
        int b = in.read();
        if (b < 0) {
          return;
        }
        head.append((char) b);
      }
      asked.add(head.toString());
      if (instead.isPresent()) {
        client.getOutputStream().write(instead.get().getBytes(StandardCharsets.ISO_8859_1));
        if (!hangsUp) {
          in.transferTo(java.io.OutputStream.nullOutputStream());
        }
        return;
      }
      String target = head.substring("CONNECT ".length(), head.indexOf(" HTTP/1.1\r\n"));
      String host = target.substring(0, target.lastIndexOf(':'));
      String address = host.matches("[0-9.]+") ? host : "127.0.0.2";
      try (Socket upstream =
          new Socket(address, Integer.parseInt(target.substring(target.lastIndexOf(':') + 1)))) {
        open.add(upstream);
        relay(client, upstream);
      }
    } catch (IOException e) {
      // One of the two closed it.
    }
  }

  private void relay(Socket client, Socket upstream) throws IOException {
    String answer = "HTTP/1.1 200 Connection established\r\n\r\n";
    if (serverFirst) {
      byte[] first = new byte[1024];
      int length = upstream.getInputStream().read(first);
      answer += new String(first, 0, length, StandardCharsets.ISO_8859_1);
    }
    client.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
    Thread.ofVirtual()
        .start(() -> {
          try {
            upstream.getInputStream().transferTo(client.getOutputStream());
            client.close();
          } catch (IOException e) {
            // The same.
          }
        });
    byte[] buffer = new byte[8192];
    for (int n = client.getInputStream().read(buffer);
        n >= 0;
        n = client.getInputStream().read(buffer)) {
      relayed.write(buffer, 0, n);
      upstream.getOutputStream().write(buffer, 0, n);
    }
  }

  @Override
  public void close() {
    try {
      server.close();
      for (Socket socket : open) {
        socket.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
