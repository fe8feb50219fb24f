package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.ForwardRequest;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** {@code sandbox forward}, with real sockets on this side. */
@Timeout(30)
final class ForwardTest {
  private static final String SANDBOX = "sb-aaaaaaaaaaaaaaaaaaaa";

  private final FakeMesh mesh = new FakeMesh();
  private final Lines errors = new Lines();
  private final List<Thread> commands = new ArrayList<>();

  @AfterEach
  void end() throws InterruptedException {
    for (Thread command : commands) {
      command.interrupt();
      command.join();
    }
    mesh.shutDown();
  }

  @Test
  void whatIsSaidComesBackAndTheEndIsPassedOn() throws Exception {
    byte[] data = new byte[3 << 20];
    new Random(1).nextBytes(data);
    try (Socket socket = connect(forward("0:7"))) {
      Thread.ofVirtual()
          .start(() -> {
            try {
              OutputStream out = socket.getOutputStream();
              out.write(data);
              socket.shutdownOutput();
            } catch (IOException e) {
              throw new IllegalStateException(e);
            }
          });
      assertThat(socket.getInputStream().readAllBytes()).isEqualTo(data);
    }
    assertThat(mesh.ports.opened.take())
        .isEqualTo(ForwardRequest.newBuilder().setSandbox(SANDBOX).setPort(7).build());
  }

  @Test
  void theSandboxMayEndFirst() throws Exception {
    try (Socket socket = connect(forward("0:13"))) {
      assertThat(socket.getInputStream().readAllBytes()).asString().isEqualTo("noon");
      socket.getOutputStream().write("thanks".getBytes(StandardCharsets.UTF_8));
      socket.shutdownOutput();
      assertThat(mesh.ports.heard.take()).isEqualTo("thanks");
    }
  }

  @Test
  void eachConnectionHasAStreamOfItsOwn() throws Exception {
    int port = forward("0:7");
    try (Socket one = connect(port);
        Socket two = connect(port)) {
      for (Socket socket : List.of(two, one)) {
        socket.getOutputStream().write('x');
        assertThat(socket.getInputStream().read()).isEqualTo('x');
      }
    }
    assertThat(mesh.ports.opened).hasSize(2);
  }

  @Test
  void aClosedPortBreaksTheConnectionOffAndIsTold() throws Exception {
    int port = forward("0:9");
    for (int i = 0; i < 2; i++) {
      try (Socket socket = connect(port)) {
        assertBroken(socket.getInputStream());
      }
      assertThat(errors.next()).isEqualTo("cofferdam: PORT_CLOSED: nobody is there");
    }
  }

  @Test
  void aConnectionThatBreaksInTheSandboxBreaksHere() throws Exception {
    try (Socket socket = connect(forward("0:19"))) {
      socket.getOutputStream().write('x');
      assertBroken(socket.getInputStream());
    }
    assertThat(errors.next()).isEqualTo("cofferdam: CONNECTION_RESET: it broke off");
  }

  @Test
  void aConnectionThatBreaksHereBreaksInTheSandbox() throws Exception {
    try (Socket socket = connect(forward("0:7"))) {
      socket.getOutputStream().write('x');
      assertThat(socket.getInputStream().read()).isEqualTo('x');
      socket.setSoLinger(true, 0);
    }
    assertThat(mesh.ports.heard.take()).isEqualTo("broken");
  }

  @Test
  void theEndOfTheCommandEndsItsConnections() throws Exception {
    int port = forward("0:7");
    try (Socket socket = connect(port)) {
      socket.getOutputStream().write('x');
      assertThat(socket.getInputStream().read()).isEqualTo('x');
      commands.getFirst().interrupt();
      commands.getFirst().join();
      assertBroken(socket.getInputStream());
    }
    assertThat(mesh.ports.heard.take()).isEqualTo("broken");
    assertThatThrownBy(() -> connect(port).close()).isInstanceOf(IOException.class);
  }

  /** Somebody on this machine's network tries the port. */
  @Test
  void onlyTheLoopbackAddressIsListenedOn() throws Exception {
    int port = forward("0:7");
    List<InetAddress> others =
        NetworkInterface.networkInterfaces()
            .flatMap(NetworkInterface::inetAddresses)
            .filter(address -> !address.isLoopbackAddress())
            .toList();
    for (InetAddress address : others) {
      assertThatThrownBy(() -> new Socket(address, port).close()).isInstanceOf(IOException.class);
    }
  }

  @Test
  void mistakesAreOneLine() throws Exception {
    assertMistake("http", "'http' is not [LOCAL:]PORT");
    assertMistake("8080:", "'8080:' is not [LOCAL:]PORT");
    assertMistake("0", "port 0: expected 1 to 65535");
    assertMistake("70000:80", "port 70000: expected 0 to 65535");
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      assertMistake(taken.getLocalPort() + ":80", "name another port, as in 0:PORT");
    }
  }

  private void assertMistake(String ports, String expected) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code =
        Main.commandLine(context(new PrintStream(OutputStream.nullOutputStream()), print(err)))
            .execute("sandbox", "forward", SANDBOX, ports);
    assertThat(code).isEqualTo(1);
    assertThat(err.toString(StandardCharsets.UTF_8)).contains(expected).containsOnlyOnce("\n");
  }

  private static void assertBroken(InputStream in) {
    assertThatThrownBy(in::read).isInstanceOf(SocketException.class);
  }

  /** Starts the command and returns the port that it listens on. */
  private int forward(String ports) throws Exception {
    Lines out = new Lines();
    commands.add(
        Thread.ofPlatform()
            .start(() -> {
              int code =
                  Main.commandLine(context(print(out), print(errors)))
                      .execute("sandbox", "forward", SANDBOX, ports);
              out.all.add("ended with " + code);
            }));
    String line = out.next();
    Matcher matcher =
        Pattern.compile("127\\.0\\.0\\.1:(\\d+) leads to port \\d+ of " + SANDBOX).matcher(line);
    assertThat(matcher.matches()).as(line).isTrue();
    return Integer.parseInt(matcher.group(1));
  }

  private Context context(PrintStream out, PrintStream err) {
    return new Context(() -> mesh, InputStream.nullInputStream(), out, err, new FakeTerminal());
  }

  private static PrintStream print(OutputStream to) {
    return new PrintStream(to, true, StandardCharsets.UTF_8);
  }

  private static Socket connect(int port) throws IOException {
    return new Socket(InetAddress.getLoopbackAddress(), port);
  }

  /** What was printed, line by line. */
  private static final class Lines extends OutputStream {
    final BlockingQueue<String> all = new LinkedBlockingQueue<>();
    private final StringBuilder line = new StringBuilder();

    @Override
    public synchronized void write(int c) {
      if (c == '\n') {
        all.add(line.toString());
        line.setLength(0);
      } else {
        line.append((char) c);
      }
    }

    String next() throws InterruptedException {
      return all.take();
    }
  }
}
