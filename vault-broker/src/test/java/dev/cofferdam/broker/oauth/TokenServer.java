package dev.cofferdam.broker.oauth;

import dev.cofferdam.testkit.FreePorts;
import dev.cofferdam.testkit.TestCertificates;
import io.netty.handler.ssl.JdkSslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLServerSocket;

/** A token endpoint on loopback, in TLS; it answers byte for byte what a test says. */
public final class TokenServer implements AutoCloseable {
  private static final Pattern LENGTH = Pattern.compile("(?i)\r\ncontent-length: ([0-9]+)\r\n");

  /** What a client was sent, after its whole request was read. */
  public interface Answer {
    void write(OutputStream out) throws IOException, InterruptedException;
  }

  /** A request, head and body as they came. */
  public record Request(String head, String body) {
    /** What stands in {@code Authorization: Basic}, decoded. */
    public String basic() {
      String marker = "Authorization: Basic ";
      int start = head.indexOf(marker) + marker.length();
      return new String(
          Base64.getDecoder().decode(head.substring(start, head.indexOf("\r\n", start))),
          StandardCharsets.UTF_8);
    }
  }

  public final List<Request> requests = new CopyOnWriteArrayList<>();
  public volatile Answer answer = token("token-0123456789abcdef", 3600);

  private final SSLServerSocket listener;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

  /**
   * @param files with a certificate for localhost
   */
  public TokenServer(TestCertificates.PeerFiles files) throws IOException {
    JdkSslContext context =
        (JdkSslContext)
            SslContextBuilder.forServer(files.certificate().toFile(), files.key().toFile())
                .sslProvider(SslProvider.JDK)
                .build();
    listener =
        (SSLServerSocket)
            context
                .context()
                .getServerSocketFactory()
                // It may be closed, and nobody else is to answer in its place.
                .createServerSocket(FreePorts.next(), 64, InetAddress.getByName("127.0.0.1"));
    threads.execute(this::serve);
  }

  public int port() {
    return listener.getLocalPort();
  }

  public String url() {
    return "https://localhost:%d/oauth/token".formatted(port());
  }

  public static Answer token(String token, long seconds) {
    return json(
        200,
        "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%d}"
            .formatted(token, seconds));
  }

  public static Answer json(int status, String body) {
    return raw(
        "HTTP/1.1 %d Any\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            .formatted(status, body.getBytes(StandardCharsets.UTF_8).length, body));
  }

  public static Answer raw(String text) {
    return out -> out.write(text.getBytes(StandardCharsets.UTF_8));
  }

  private void serve() {
    while (!listener.isClosed()) {
      try {
        Socket socket = listener.accept();
        threads.execute(() -> serve(socket));
      } catch (IOException e) {
        // Closed.
      }
    }
  }

  private void serve(Socket socket) {
    try (socket) {
      String head = head(socket.getInputStream());
      Matcher length = LENGTH.matcher(head);
      int bytes = length.find() ? Integer.parseInt(length.group(1)) : 0;
      String body =
          new String(socket.getInputStream().readNBytes(bytes), StandardCharsets.US_ASCII);
      requests.add(new Request(head, body));
      answer.write(socket.getOutputStream());
      socket.getOutputStream().flush();
    } catch (IOException | InterruptedException e) {
      // The client's to notice.
    }
  }

  private static String head(InputStream in) throws IOException {
    ByteArrayOutputStream head = new ByteArrayOutputStream();
    while (!head.toString(StandardCharsets.US_ASCII).endsWith("\r\n\r\n")) {
      int next = in.read();
      if (next < 0) {
        throw new IOException("no request");
      }
      head.write(next);
    }
    return head.toString(StandardCharsets.US_ASCII);
  }

  @Override
  public void close() throws IOException {
    listener.close();
    threads.shutdownNow();
  }
}
