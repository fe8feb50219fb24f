package dev.cofferdam.gateway;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

/** A client that sends exactly the bytes it is told to, from a slot's address. */
final class RawGuest implements AutoCloseable {
  private final TestPki trusted;
  private Socket socket;

  RawGuest(String slot, InetSocketAddress gateway, TestPki trusted) throws IOException {
    this.trusted = trusted;
    this.socket = new Socket();
    socket.bind(new InetSocketAddress(InetAddress.getByName(slot), 0));
    socket.connect(gateway);
    socket.setSoTimeout(60_000);
  }

  /** Goes on in TLS. */
  RawGuest tls(String serverName) throws IOException {
    return tls(serverName, "http/1.1");
  }

  /** Goes on in TLS and in a protocol by its name in ALPN. */
  RawGuest tls(String serverName, String protocol) throws IOException {
    SSLSocket tls =
        (SSLSocket) trusted.client().getSocketFactory().createSocket(socket, serverName, 443, true);
    SSLParameters parameters = tls.getSSLParameters();
    parameters.setServerNames(List.of(new SNIHostName(serverName)));
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    parameters.setApplicationProtocols(new String[] {protocol});
    tls.setSSLParameters(parameters);
    tls.startHandshake();
    socket = tls;
    return this;
  }

  RawGuest send(String bytes) throws IOException {
    return send(bytes.getBytes(StandardCharsets.ISO_8859_1));
  }

  RawGuest send(byte[] bytes) throws IOException {
    socket.getOutputStream().write(bytes);
    socket.getOutputStream().flush();
    return this;
  }

  /** Up to and with the text. */
  String until(String text) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    while (!all.toString(StandardCharsets.ISO_8859_1).endsWith(text)) {
      int b = socket.getInputStream().read();
      if (b < 0) {
        throw new IOException("the answer was cut off after: " + all);
      }
      all.write(b);
    }
    return all.toString(StandardCharsets.ISO_8859_1);
  }

  /** One answer with a Content-Length, or all until the end. */
  Answer answer() throws IOException {
    InputStream in = socket.getInputStream();
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    int wanted = -1;
    while (wanted < 0 || all.size() < wanted) {
      int b = in.read();
      if (b < 0) {
        break;
      }
      all.write(b);
      if (wanted < 0 && b == '\n') {
        Answer soFar = Answer.parse(all.toString(StandardCharsets.ISO_8859_1));
        if (!soFar.head().isEmpty()) {
          int have = all.size();
          wanted = soFar.header("content-length").map(l -> have + Integer.parseInt(l)).orElse(-1);
          if (wanted < 0 && soFar.header("transfer-encoding").isPresent()) {
            chunks(in, all);
            break;
          }
        }
      }
    }
    return Answer.parse(all.toString(StandardCharsets.ISO_8859_1));
  }

  /** Takes the framing off; trailers stay at the end. */
  private static void chunks(InputStream in, ByteArrayOutputStream out) throws IOException {
    for (int size = size(in); size > 0; size = size(in)) {
      out.write(in.readNBytes(size));
      in.readNBytes(2);
    }
    for (String line = line(in); !line.isEmpty(); line = line(in)) {
      out.write((line + "\n").getBytes(StandardCharsets.ISO_8859_1));
    }
  }

  private static int size(InputStream in) throws IOException {
    return Integer.parseInt(line(in), 16);
  }

  private static String line(InputStream in) throws IOException {
    StringBuilder line = new StringBuilder();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new IOException("the answer was cut off");
      }
      if (b != '\r') {
        line.append((char) b);
      }
    }
    return line.toString();
  }

  /** Whether the other side hangs up, whatever it says before. */
  boolean hungUpOn() throws IOException {
    try {
      while (socket.getInputStream().read() >= 0) {
        // It may have its last words.
      }
    } catch (java.net.SocketTimeoutException e) {
      return false;
    } catch (IOException e) {
      // Without them.
    }
    return true;
  }

  /** Whether the other side hung up without a word. */
  boolean closed() throws IOException {
    try {
      return socket.getInputStream().read() < 0;
    } catch (java.net.SocketException e) {
      return true;
    }
  }

  /** Waits for no close of the other side's, as TLS does: a gateway that is gone sends none. */
  @Override
  public void close() throws IOException {
    if (!socket.isClosed()) {
      socket.setSoTimeout(1);
    }
    socket.close();
  }
}
