package dev.cofferdam.node.cloudhypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.cloudhypervisor.UnixHttp.Answer;
import io.netty.handler.codec.http.HttpMethod;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** VMMs that were taken over answer what they like, for as long as somebody listens. */
class HostileApiTest {
  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final byte[] NOTHING = {};
  private static final String CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

  /** What lies in the sockets' buffers when the connection is closed, and in a turn of reading. */
  private static final long ON_ITS_WAY = 1 << 20;

  @TempDir Path directory;
  private final UnixHttp http = new UnixHttp();
  private final List<ServerSocketChannel> listeners = new ArrayList<>();

  @AfterEach
  void close() throws IOException {
    http.close();
    for (ServerSocketChannel listener : listeners) {
      listener.close();
    }
  }

  static Stream<Arguments> floods() {
    return Stream.of(
        flood("headers", "HTTP/1.1 200 OK\r\n", "X-More: more\r\n"),
        flood("one header", "HTTP/1.1 200 OK\r\nX-Long: ", "more"),
        flood("a header's folded lines", "HTTP/1.1 200 OK\r\nX-Long: a\r\n", " more\r\n"),
        flood("a status line", "HTTP/1.1 200 ", "OK"),
        flood("empty lines", "", "\r\n"),
        flood("zeros", "", "\0"),
        flood("no HTTP", "", "nonsense "),
        flood("a body without a length", "HTTP/1.1 200 OK\r\n\r\n", "more"),
        flood("a long body", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", "m"),
        flood("large chunks", CHUNKED, "10000\r\n" + "m".repeat(0x10000) + "\r\n"),
        flood("small chunks", CHUNKED, "1\r\nm\r\n"),
        flood("a chunk's length", CHUNKED, "0"),
        flood("a chunk that is too large", CHUNKED + "7fffffffffffffff\r\n", "m"),
        flood("a chunk's extension", CHUNKED + "1;", "more"),
        flood("chunks that are none", CHUNKED, "zz\r\n"),
        flood("trailers", CHUNKED + "0\r\n", "X-More: more\r\n"),
        flood("continue", "", "HTTP/1.1 100 Continue\r\n\r\n"),
        flood("early hints", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        flood("another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "more"),
        flood("refusals", "", "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("floods")
  void whatHasNoEndIsReadToABoundAndIsNoSuccess(String name, String begin, String again)
      throws Exception {
    Path socket = socket(0);
    BlockingQueue<Long> said = serve(socket, begin, again);
    assertNoSuccess(socket);
    // The other side notices that nobody listens.
    assertThat(said.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS))
        .isNotNull()
        .isLessThan(UnixHttp.MAX_WIRE + ON_ITS_WAY);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "HTTP/1.1",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        "HTTP/1.1 two OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
        "{\"state\":\"Running\"}"
      })
  void whatEndsTooEarlyOrIsNoHttpIsNoAnswer(String words) throws IOException {
    Path socket = socket(0);
    var _ = serve(socket, words, "");
    assertThatThrownBy(() -> ask(socket, PATIENCE)).isInstanceOf(IOException.class);
  }

  @Test
  void whatIsMoreThanTheAnswerSaysOfItselfIsNotRead() throws Exception {
    Path socket = socket(0);
    var _ = serve(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 500 No");
    Answer answer = ask(socket, PATIENCE);
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.body()).asString().isEqualTo("{}");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
      })
  void whoNeverEndsIsWaitedForNoLongerThanTheCallerLikes(String words) throws IOException {
    Path socket = socket(0);
    hold(socket, words);
    assertThatThrownBy(() -> ask(socket, Duration.ofMillis(200)))
        .isInstanceOf(TimeoutException.class);
  }

  @Test
  void anAnswerThatIsNestedDeeplyIsNone() throws IOException {
    Path socket = socket(0);
    String body = "[".repeat(UnixHttp.MAX_ANSWER - 1);
    String words = "HTTP/1.1 200 OK\r\nContent-Length: " + body.length() + "\r\n\r\n" + body;
    hold(socket, words);
    CloudHypervisorClient client = new CloudHypervisorClient(http, () -> socket, "hostile");
    assertThatThrownBy(client::state)
        .isInstanceOf(ApiException.class)
        .hasMessageContaining("no JSON");
  }

  @Test
  void aRefusalSaysNoMoreThanPeopleCanRead() throws IOException {
    Path socket = socket(0);
    String first = "\"\\u001b[2J" + "why".repeat(1000) + "\",";
    String body = "[" + first + "\"why\",".repeat(20_000) + "\"\"]";
    hold(socket, "HTTP/1.1 500 No\r\nContent-Length: " + body.length() + "\r\n\r\n" + body);
    CloudHypervisorClient client = new CloudHypervisorClient(http, () -> socket, "hostile");
    assertThatThrownBy(client::state)
        .isInstanceOf(ApiRefusal.class)
        .satisfies(refusal ->
            assertThat(refusal.getMessage()).hasSizeLessThan(4096).matches("[\\x20-\\x7e]*"));
  }

  /** Nothing is asked on it, so nothing is answered; and it would be listened to for a lifetime. */
  @Test
  void whoTalksOnTheConnectionThatIsWatchedIsNotListenedTo() throws Exception {
    Path socket = socket(0);
    BlockingQueue<Long> said = serve(socket, "", "HTTP/1.1 503 Later\r\n\r\n");
    try (UnixHttp.Connection connection = http.watch(socket, PATIENCE)) {
      var _ = connection.closed().toCompletableFuture().get(30, TimeUnit.SECONDS);
    } catch (IOException e) {
      assertThat(e).as("before it was seen who it is").hasMessageContaining("closed at once");
    }
    assertThat(said.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS))
        .isNotNull()
        .isLessThan(ON_ITS_WAY);
  }

  /** One thread reads for all of them. */
  @Test
  void floodsLeaveOthersTheirTurn() throws Exception {
    Path good = socket(0);
    hold(good, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    List<BlockingQueue<Long>> floods = new ArrayList<>();
    List<Thread> callers = new ArrayList<>();
    for (int i = 1; i <= 8; i++) {
      Path socket = socket(i);
      floods.add(serve(socket, CHUNKED, "1\r\nm\r\n"));
      callers.add(Thread.ofVirtual().start(() -> floodUntilInterrupted(socket)));
    }
    try {
      for (BlockingQueue<Long> flood : floods) {
        assertThat(flood.poll(60, TimeUnit.SECONDS)).as("it flooded").isPositive();
      }
      for (int turn = 0; turn < 20; turn++) {
        assertThat(ask(good, PATIENCE).status()).isEqualTo(200);
      }
    } finally {
      for (Thread caller : callers) {
        caller.interrupt();
        caller.join();
      }
    }
  }

  private void floodUntilInterrupted(Path socket) {
    while (!Thread.currentThread().isInterrupted()) {
      try {
        var _ = ask(socket, PATIENCE);
      } catch (IOException | TimeoutException e) {
        // As it should be; once more.
      }
    }
  }

  private void assertNoSuccess(Path socket) throws TimeoutException {
    try {
      assertThat(ask(socket, PATIENCE).status() / 100).isNotEqualTo(2);
    } catch (IOException e) {
      assertThat(e.getMessage()).hasSizeLessThan(200).matches("[\\x20-\\x7e]*");
    }
  }

  private Answer ask(Path socket, Duration patience) throws IOException, TimeoutException {
    return http.exchange(socket, HttpMethod.GET, "/api/v1/vm.info", NOTHING, patience);
  }

  private Path socket(int number) throws IOException {
    return Files.createDirectories(directory.resolve(Integer.toString(number))).resolve("ch.sock");
  }

  private static Arguments flood(String name, String begin, String again) {
    return Arguments.of(name, begin, again);
  }

  /**
   * Says the first to whoever connects, then the second until nobody listens. Nothing to say again
   * ends the connection.
   *
   * @return how many bytes were taken off it, for each connection that ended
   */
  private BlockingQueue<Long> serve(Path socket, String begin, String again) throws IOException {
    BlockingQueue<Long> said = new LinkedBlockingQueue<>();
    // Many at once, as a flood comes.
    byte[] words =
        again
            .repeat(again.isEmpty() ? 0 : Math.max(1, 0x10000 / again.length()))
            .getBytes(StandardCharsets.ISO_8859_1);
    accept(
        socket,
        session -> {
          long bytes = 0;
          try (session) {
            bytes += say(session, begin.getBytes(StandardCharsets.ISO_8859_1));
            while (words.length > 0) {
              bytes += say(session, words);
            }
          } catch (IOException e) {
            // Nobody listens any more.
          }
          said.add(bytes);
        });
    return said;
  }

  /** Says it to whoever connects, and then nothing, until nobody listens. */
  private void hold(Path socket, String words) throws IOException {
    accept(
        socket,
        session -> {
          try (session) {
            var _ = say(session, words.getBytes(StandardCharsets.ISO_8859_1));
            while (session.read(ByteBuffer.allocate(4096)) >= 0) {}
          }
        });
  }

  @FunctionalInterface
  private interface Session {
    void serve(SocketChannel session) throws IOException;
  }

  private void accept(Path socket, Session served) throws IOException {
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(UnixDomainSocketAddress.of(socket));
    listeners.add(listener);
    Thread.ofPlatform()
        .daemon()
        .start(() -> {
          while (listener.isOpen()) {
            try {
              served.serve(listener.accept());
            } catch (IOException e) {
              // Nobody listens any more, or nobody asks.
            }
          }
        });
  }

  private static long say(SocketChannel session, byte[] words) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(words);
    while (bytes.hasRemaining()) {
      session.write(bytes);
    }
    return words.length;
  }
}
