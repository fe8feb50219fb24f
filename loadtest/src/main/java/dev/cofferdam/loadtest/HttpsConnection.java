package dev.cofferdam.loadtest;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * One kept-alive HTTP/1.1 connection over verified TLS that sends the same request again and again.
 * Where an answer ends it the next request has a new one. So little of a client that what is
 * measured is the server's. Not safe for use by several threads.
 */
final class HttpsConnection implements AutoCloseable {
  private final Destination destination;
  private final LoadRequest request;
  private SSLSocket socket;
  private InputStream in;
  private OutputStream out;
  private boolean ended;

  /**
   * Where to, and how.
   *
   * @param proxy that is asked to connect to the address
   * @param trust from {@link #trusting}, once for many: each holds a whole store of certificates
   */
  record Destination(
      InetSocketAddress address, Optional<InetSocketAddress> proxy, String host, SSLContext trust) {
    private SSLSocket open() throws IOException {
      Socket plain = new Socket();
      plain.setTcpNoDelay(true);
      plain.connect(proxy.orElse(address), 20_000);
      if (proxy.isPresent()) {
        connect(plain, address);
      }
      SSLSocket socket = (SSLSocket) trust.getSocketFactory().createSocket(plain, host, 443, true);
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setServerNames(List.of(new SNIHostName(host)));
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      parameters.setApplicationProtocols(new String[] {"http/1.1"});
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      return socket;
    }
  }

  private HttpsConnection(Destination destination, LoadRequest request, SSLSocket socket)
      throws IOException {
    this.destination = destination;
    this.request = request;
    this.socket = socket;
    this.in = new BufferedInputStream(socket.getInputStream(), 16 * 1024);
    this.out = socket.getOutputStream();
  }

  static HttpsConnection open(Destination destination, LoadRequest request) throws IOException {
    return new HttpsConnection(destination, request, destination.open());
  }

  /** As any client: a server may end a connection with any answer, and refusals do. */
  private void openAgain() throws IOException {
    socket.close();
    socket = destination.open();
    in = new BufferedInputStream(socket.getInputStream(), 16 * 1024);
    out = socket.getOutputStream();
    ended = false;
  }

  private static void connect(Socket proxy, InetSocketAddress address) throws IOException {
    String target = address.getHostString() + ":" + address.getPort();
    proxy
        .getOutputStream()
        .write(
            "CONNECT %1$s HTTP/1.1\r\nHost: %1$s\r\n\r\n"
                .formatted(target)
                .getBytes(StandardCharsets.US_ASCII));
    StringBuilder head = new StringBuilder();
    // A byte at a time: what follows the head is TLS.
    while (head.indexOf("\r\n\r\n") < 0) {
      int b = proxy.getInputStream().read();
      if (b < 0) {
        throw new EOFException("the proxy ended after '" + head + "'");
      }
      head.append((char) b);
    }
    if (!head.toString().startsWith("HTTP/1.1 200")) {
      throw new IOException("the proxy does not connect: " + head);
    }
  }

  static SSLContext trusting(Path authority) throws IOException {
    try (InputStream file = Files.newInputStream(authority)) {
      KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
      roots.load(null, null);
      int number = 0;
      for (Certificate root : CertificateFactory.getInstance("X.509").generateCertificates(file)) {
        roots.setCertificateEntry("root" + number++, root);
      }
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(roots);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, trust.getTrustManagers(), null);
      return context;
    } catch (GeneralSecurityException e) {
      throw new IOException("cannot trust " + authority, e);
    }
  }

  /**
   * Sends the request and reads the whole answer.
   *
   * @throws IOException also for any status but the expected one: a refusal is fast and would
   *     flatter
   */
  void exchange() throws IOException {
    if (ended) {
      openAgain();
    }
    request.writeTo(out);
    String status = line();
    if (!status.startsWith("HTTP/1.1 " + request.status() + " ")) {
      throw new IOException("the answer is '" + status + "', expected " + request.status());
    }
    long length = -1;
    boolean chunked = false;
    for (String header = line(); !header.isEmpty(); header = line()) {
      String lower = header.toLowerCase(Locale.ROOT);
      if (lower.startsWith("content-length:")) {
        length = Long.parseLong(lower.substring(lower.indexOf(':') + 1).strip());
      }
      ended |= lower.startsWith("connection:") && lower.endsWith("close");
      chunked |= lower.startsWith("transfer-encoding:") && lower.endsWith("chunked");
    }
    if (chunked) {
      skipChunks();
    } else if (length >= 0) {
      in.skipNBytes(length);
    } else {
      throw new IOException("the answer has no length");
    }
  }

  private void skipChunks() throws IOException {
    while (true) {
      long size = Long.parseLong(line().strip(), 16);
      in.skipNBytes(size);
      String end = line();
      if (size == 0) {
        // Trailers, up to an empty line.
        while (!end.isEmpty()) {
          end = line();
        }
        return;
      }
    }
  }

  private String line() throws IOException {
    StringBuilder text = new StringBuilder();
    while (true) {
      int b = in.read();
      switch (b) {
        case -1 -> throw new EOFException("the connection ended after '" + text + "'");
        case '\r' -> {}
        case '\n' -> {
          return text.toString();
        }
        default -> text.append((char) b);
      }
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
