package dev.cofferdam.edge;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A client of HTTP/1.1 that sends what it is told, however wrong. */
final class RawClient implements AutoCloseable {
  private static final int PATIENCE_MS = 60_000;
  private static final Pattern LENGTH = Pattern.compile("\r\ncontent-length: ([0-9]+)\r\n");

  final Socket socket;
  private final InputStream in;

  RawClient(int port) throws IOException {
    socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setSoTimeout(PATIENCE_MS);
    in = socket.getInputStream();
  }

  /** An answer with its head in lower case. */
  record Answer(int status, String head, String body) {}

  RawClient send(String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
    return this;
  }

  /** Creates a sandbox, whose socket this is from then on. */
  RawClient create() throws IOException {
    send(
        "GET /api/v3/sandboxes/create HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\n"
            + "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nAuthorization: Bearer "
            + Sdk.BOTH
            + "\r\nx-deno-sandbox-config: e30=\r\n\r\n");
    if (!head().startsWith("http/1.1 101 ")) {
      throw new AssertionError("no socket");
    }
    return this;
  }

  String head() throws IOException {
    StringBuilder head = new StringBuilder();
    while (head.indexOf("\r\n\r\n") < 0) {
      int next = in.read();
      if (next < 0) {
        throw new AssertionError("the connection ended in a head: " + head);
      }
      head.append((char) next);
    }
    return head.toString().toLowerCase(Locale.ROOT);
  }

  String read(int bytes) throws IOException {
    return new String(in.readNBytes(bytes), StandardCharsets.ISO_8859_1);
  }

  /** One whose length is told, or in chunks. */
  Answer answer() throws IOException {
    String head = head();
    int status = Integer.parseInt(head.substring(9, 12));
    Matcher length = LENGTH.matcher(head);
    if (length.find()) {
      return new Answer(status, head, read(Integer.parseInt(length.group(1))));
    }
    StringBuilder body = new StringBuilder();
    if (head.contains("transfer-encoding: chunked")) {
      for (String chunk = chunk(); !chunk.isEmpty(); chunk = chunk()) {
        body.append(chunk);
      }
    }
    return new Answer(status, head, body.toString());
  }

  String chunk() throws IOException {
    StringBuilder size = new StringBuilder();
    while (size.indexOf("\r\n") < 0) {
      int next = in.read();
      if (next < 0) {
        throw new AssertionError("the connection ended before a chunk");
      }
      size.append((char) next);
    }
    String chunk = read(Integer.parseInt(size.substring(0, size.length() - 2), 16));
    read(2);
    return chunk;
  }

  /** Everything up to the connection's end. */
  String rest() throws IOException {
    try {
      return new String(in.readAllBytes(), StandardCharsets.ISO_8859_1);
    } catch (java.net.SocketException e) {
      return "";
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
