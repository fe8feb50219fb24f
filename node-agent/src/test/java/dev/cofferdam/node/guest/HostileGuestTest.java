package dev.cofferdam.node.guest;

import static dev.cofferdam.node.guest.HostileGuest.CONTINUATION;
import static dev.cofferdam.node.guest.HostileGuest.DATA;
import static dev.cofferdam.node.guest.HostileGuest.END_HEADERS;
import static dev.cofferdam.node.guest.HostileGuest.END_STREAM;
import static dev.cofferdam.node.guest.HostileGuest.GOAWAY;
import static dev.cofferdam.node.guest.HostileGuest.HEADERS;
import static dev.cofferdam.node.guest.HostileGuest.NOTHING;
import static dev.cofferdam.node.guest.HostileGuest.PING;
import static dev.cofferdam.node.guest.HostileGuest.PUSH_PROMISE;
import static dev.cofferdam.node.guest.HostileGuest.RST_STREAM;
import static dev.cofferdam.node.guest.HostileGuest.SETTINGS;
import static dev.cofferdam.node.guest.HostileGuest.WINDOW_UPDATE;
import static dev.cofferdam.node.guest.HostileGuest.answer;
import static dev.cofferdam.node.guest.HostileGuest.headers;
import static dev.cofferdam.node.guest.HostileGuest.message;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.kit.relay.OpaqueRelay;
import dev.cofferdam.node.guest.HostileGuest.Connection;
import dev.cofferdam.node.guest.HostileGuest.Script;
import dev.cofferdam.v1.ListProcessesRequest;
import dev.cofferdam.v1.ListProcessesResponse;
import dev.cofferdam.v1.OutputChunk;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * A guest that was taken over answers with whatever it likes, behind the connector and the relay
 * that every guest shares. Its own calls end with an error; another guest's do not notice.
 */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostileGuestTest {
  private static final Duration PATIENCE = Duration.ofSeconds(20);
  private static final String HOSTILE = "sb-hostile";
  private static final String GOOD = "sb-good";

  /** More than any bound that stands between a guest and this process's memory. */
  private static final long MUCH = 48L << 20;

  private static final byte[] SIXTEEN_K = new byte[16 << 10];

  @TempDir Path directory;
  private final EventLoopGroup loop = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final UnixGuestConnector connector =
      new UnixGuestConnector(executor, Duration.ofSeconds(10), Duration.ofSeconds(1));
  private final Map<String, Guest> guests = new ConcurrentHashMap<>();
  private Server good;
  private Server relay;
  private ManagedChannel client;

  @BeforeEach
  void start() throws IOException {
    good =
        NettyServerBuilder.forAddress(UnixDomainSocketAddress.of(directory.resolve("good.sock")))
            .channelType(NioServerDomainSocketChannel.class)
            .bossEventLoopGroup(loop)
            .workerEventLoopGroup(loop)
            .addService(
                new ProcessServiceGrpc.ProcessServiceImplBase() {
                  @Override
                  public void listProcesses(
                      ListProcessesRequest request, StreamObserver<ListProcessesResponse> answer) {
                    answer.onNext(ListProcessesResponse.getDefaultInstance());
                    answer.onCompleted();
                  }
                })
            .build()
            .start();
    guests.put(GOOD, connector.connect(directory.resolve("good.sock")));
    String name = InProcessServerBuilder.generateName();
    relay =
        InProcessServerBuilder.forName(name)
            .addService(
                OpaqueRelay.service(
                    ProcessServiceGrpc.getServiceDescriptor(),
                    (sandbox, method) ->
                        new OpaqueRelay.Route(
                            guest(sandbox).connected(PATIENCE),
                            CallOptions.DEFAULT,
                            new Metadata())))
            .build()
            .start();
    client = InProcessChannelBuilder.forName(name).build();
  }

  @AfterEach
  void stop() {
    client.shutdownNow();
    relay.shutdownNow();
    guests.values().forEach(Guest::close);
    good.shutdownNow();
    connector.close();
    executor.shutdownNow();
    var _ = loop.shutdownGracefully(0, 2, TimeUnit.SECONDS);
  }

  /** Answers that are none. What comes after the answer's beginning is taken as it comes. */
  static final List<Named> ANSWERS =
      List.of(
          new Named("the connection ends", (c, stream) -> {}),
          new Named("text", (c, stream) -> c.raw(ascii("HTTP/1.1 200 OK\r\n\r\nhello"))),
          new Named("zeroes", (c, stream) -> c.raw(new byte[4096])),
          new Named(
              "no gRPC",
              (c, stream) ->
                  c.frame(
                      HEADERS,
                      END_HEADERS | END_STREAM,
                      stream,
                      headers(":status", "500", "content-type", "text/html"))),
          new Named(
              "no status at all",
              (c, stream) -> c.frame(HEADERS, END_HEADERS | END_STREAM, stream, headers("a", "b"))),
          new Named(
              "a status that is none",
              (c, stream) -> c.frame(HEADERS, END_HEADERS | END_STREAM, stream, status("many"))),
          new Named(
              "success without an answer",
              (c, stream) -> c.frame(HEADERS, END_HEADERS | END_STREAM, stream, status("0"))),
          new Named(
              "a message longer than is said",
              (c, stream) -> data(c, stream, message(0, 1, new byte[100]))),
          new Named(
              "a message that never comes",
              (c, stream) -> data(c, stream, message(0, 1000, new byte[10]))),
          new Named(
              "a message of a gibibyte",
              (c, stream) -> data(c, stream, message(0, 1 << 30, new byte[10]))),
          new Named(
              "a message of less than nothing",
              (c, stream) -> data(c, stream, message(0, -1, new byte[10]))),
          new Named(
              "a message compressed by nothing known",
              (c, stream) -> data(c, stream, message(1, 10, new byte[10]))),
          new Named(
              "flags that do not exist",
              (c, stream) -> data(c, stream, message(0x7e, 10, new byte[10]))),
          new Named(
              "no protobuf",
              (c, stream) -> data(c, stream, message(0, 3, new byte[] {(byte) 0xff, 1, 2}))),
          new Named(
              "data before headers",
              (c, stream) -> c.frame(DATA, END_STREAM, stream, message(0, 0, NOTHING))),
          new Named("data of nobody's", (c, stream) -> c.frame(DATA, 0, stream + 100, SIXTEEN_K)),
          new Named("headers of nobody's", (c, stream) -> c.frame(HEADERS, 4, 2, answer())),
          new Named("a reset", (c, stream) -> c.frame(RST_STREAM, 0, stream, new byte[4])),
          new Named("a reset of nobody's", (c, stream) -> c.frame(RST_STREAM, 0, 0, new byte[4])),
          new Named("going away", (c, stream) -> c.frame(GOAWAY, 0, 0, new byte[8])),
          new Named(
              "a push",
              (c, stream) -> c.frame(PUSH_PROMISE, END_HEADERS, stream, new byte[] {0, 0, 0, 2})),
          new Named(
              "a window too wide",
              (c, stream) -> {
                for (int i = 0; i < 3; i++) {
                  c.frame(WINDOW_UPDATE, 0, 0, number(Integer.MAX_VALUE));
                }
              }),
          new Named(
              "settings out of range", (c, stream) -> c.frame(SETTINGS, 0, 0, setting(5, 1 << 30))),
          new Named("settings of five bytes", (c, stream) -> c.frame(SETTINGS, 0, 0, new byte[5])),
          new Named(
              "a frame larger than allowed",
              (c, stream) -> c.frame(DATA, 0, stream, new byte[(1 << 24) - 1])),
          new Named(
              "headers that are none",
              (c, stream) -> c.frame(HEADERS, END_HEADERS, stream, new byte[] {-1, -1, -1, -1})),
          new Named(
              "headers of 64 KiB",
              (c, stream) -> {
                c.frame(HEADERS, 0, stream, headers("a", "x".repeat(16_000)));
                for (int i = 0; i < 3; i++) {
                  c.frame(CONTINUATION, 0, stream, headers("b", "x".repeat(16_000)));
                }
                c.frame(CONTINUATION, END_HEADERS, stream, headers("c", "d"));
              }),
          new Named(
              "more than the window holds",
              (c, stream) -> {
                c.frame(HEADERS, END_HEADERS, stream, answer());
                c.frame(DATA, 0, stream, message(0, 1 << 20, new byte[16_000]));
                for (int i = 0; i < 1000; i++) {
                  c.frame(DATA, 0, stream, SIXTEEN_K);
                }
              }));

  @ParameterizedTest
  @FieldSource("ANSWERS")
  void anAnswerThatIsNoneEndsItsCallAndNoOther(Named wrong) throws Exception {
    try (HostileGuest guest =
        hostile(c -> {
          int stream = c.greet(NOTHING);
          wrong.answer().give(c, stream);
        })) {
      assertThat(end(list(HOSTILE))).isNotEqualTo(Status.Code.OK);
      assertTheOtherAnswers();
      assertThat(guest.connections()).isPositive();
    }
  }

  /** Each kind of answer again, to the one call that node-agent itself makes. */
  @ParameterizedTest
  @FieldSource("ANSWERS")
  void aGuestThatCannotBeConfiguredIsGivenUp(Named wrong) throws Exception {
    try (HostileGuest guest =
        hostile(c -> {
          int stream = c.greet(NOTHING);
          wrong.answer().give(c, stream);
        })) {
      GuestIdentity identity = GuestIdentity.fresh(new Random(1), Instant.EPOCH, "h", Map.of(), "");
      assertThatThrownBy(() -> guest(HOSTILE).configure(identity, Duration.ofSeconds(1)))
          .isInstanceOf(GuestException.class);
      assertThat(guest.connections()).isPositive();
    }
  }

  /** What goes on for as long as somebody takes it. */
  static final List<Named> FLOODS =
      List.of(
          new Named(
              "headers without end",
              (c, stream) -> {
                c.frame(HEADERS, 0, stream, answer());
                flood(c, Connection.bytes(CONTINUATION, 0, stream, headers("a", "b")));
              }),
          new Named(
              "headers of nothing without end",
              (c, stream) -> {
                c.frame(HEADERS, 0, stream, answer());
                flood(c, Connection.bytes(CONTINUATION, 0, stream, NOTHING));
              }),
          new Named("pings", (c, stream) -> flood(c, Connection.bytes(PING, 0, 0, new byte[8]))),
          new Named("settings", (c, stream) -> flood(c, Connection.bytes(SETTINGS, 0, 0, NOTHING))),
          new Named(
              "settings that change",
              (c, stream) -> flood(c, Connection.bytes(SETTINGS, 0, 0, setting(3, 7)))));

  /** Nothing that it is owed in return does it ever read. */
  @ParameterizedTest
  @FieldSource("FLOODS")
  void aFloodIsTakenUpToABoundAlone(Named flood) throws Exception {
    BlockingQueue<Connection> flooding = new LinkedBlockingQueue<>();
    try (HostileGuest guest =
        hostile(c -> {
          int stream = c.greet(NOTHING);
          flooding.add(c);
          flood.answer().give(c, stream);
        })) {
      CompletableFuture<Status.Code> end = list(HOSTILE);
      Connection connection = flooding.poll(20, TimeUnit.SECONDS);
      assertThat(connection).isNotNull();
      // While it goes on, the other one is served; each call is a turn of the one event loop.
      long before = -1;
      for (int still = 0; still < 200; ) {
        assertTheOtherAnswers();
        long sent = connection.sent();
        assertThat(sent).isLessThan(MUCH);
        still = sent == before ? still + 1 : 0;
        before = sent;
      }
      guest(HOSTILE).end("it was removed");
      assertThat(end(end)).isNotEqualTo(Status.Code.OK);
      assertThat(guest.connections()).isPositive();
    }
  }

  /** Each connection is taken, greeted and ended: the next one is not at once. */
  @Test
  void aGuestThatEndsEveryConnectionIsNotConnectedToWithoutPause() throws Exception {
    CountDownLatch many = new CountDownLatch(500);
    try (HostileGuest guest =
        hostile(c -> {
          c.greetOnly();
          many.countDown();
        })) {
      // 400 eager tries take 2 s at least, and each one more a quarter of a second.
      assertThat(many.await(5, TimeUnit.SECONDS)).isFalse();
      assertTheOtherAnswers();
      assertThat(guest.connections()).isPositive();
    }
  }

  /** A reader that reads nothing holds back the guest, not the node's memory. */
  @Test
  void messagesWithoutEndWaitForTheirReader() throws Exception {
    AtomicLong taken = new AtomicLong();
    CompletableFuture<Boolean> began = new CompletableFuture<>();
    Server server =
        NettyServerBuilder.forAddress(UnixDomainSocketAddress.of(directory.resolve("endless.sock")))
            .channelType(NioServerDomainSocketChannel.class)
            .bossEventLoopGroup(loop)
            .workerEventLoopGroup(loop)
            .addService(
                new ProcessServiceGrpc.ProcessServiceImplBase() {
                  @Override
                  public StreamObserver<StartProcessRequest> startProcess(
                      StreamObserver<ProcessEvent> answer) {
                    return new Endless(
                        (ServerCallStreamObserver<ProcessEvent>) answer, taken, began);
                  }
                })
            .build()
            .start();
    guests.put(HOSTILE, connector.connect(directory.resolve("endless.sock")));
    var call = client.newCall(ProcessServiceGrpc.getStartProcessMethod(), CallOptions.DEFAULT);
    call.start(new ClientCall.Listener<>() {}, new Metadata());
    call.sendMessage(StartProcessRequest.newBuilder().setSandbox(HOSTILE).build());
    began.get(20, TimeUnit.SECONDS);
    long before = -1;
    for (int still = 0; still < 200; ) {
      assertTheOtherAnswers();
      still = taken.get() == before ? still + 1 : 0;
      before = taken.get();
      assertThat(before).isLessThan(MUCH);
    }
    call.cancel("enough", null);
    server.shutdownNow();
  }

  private static final class Endless implements StreamObserver<StartProcessRequest> {
    private static final ByteString CHUNK = ByteString.copyFrom(new byte[64 << 10]);

    Endless(
        ServerCallStreamObserver<ProcessEvent> answer,
        AtomicLong taken,
        CompletableFuture<Boolean> began) {
      answer.setOnReadyHandler(() -> {
        while (answer.isReady()) {
          answer.onNext(
              ProcessEvent.newBuilder().setStdout(OutputChunk.newBuilder().setData(CHUNK)).build());
          taken.addAndGet(CHUNK.size());
          began.complete(true);
        }
      });
    }

    @Override
    public void onNext(StartProcessRequest value) {}

    @Override
    public void onError(Throwable thrown) {}

    @Override
    public void onCompleted() {}
  }

  /** The same seed makes the same bytes: {@code -Dcofferdam.fuzz.seed=}, printed by a failure. */
  @Test
  void bytesAtRandom() throws Exception {
    long seed = Long.getLong("cofferdam.fuzz.seed", System.nanoTime());
    Random random = new Random(seed);
    int rounds = "1".equals(System.getenv("COFFERDAM_TEST_LONG")) ? 5000 : 150;
    BlockingQueue<byte[]> next = new LinkedBlockingQueue<>();
    try (HostileGuest guest =
        hostile(c -> {
          int stream = c.greet(NOTHING);
          byte[] bytes = next.poll();
          if (bytes != null) {
            // The stream that was asked for, so that some of it reaches the call.
            ByteBuffer.wrap(bytes).putInt(5, stream);
            c.raw(bytes);
          }
        })) {
      for (int round = 0; round < rounds; round++) {
        next.add(frames(random));
        assertThat(end(list(HOSTILE)))
            .as("seed %d, round %d", seed, round)
            .isNotEqualTo(Status.Code.OK);
        next.clear();
      }
      assertTheOtherAnswers();
      assertThat(guest.connections()).isPositive();
    }
  }

  /** Frames of which most are almost right; the first is on stream 1 until its place is known. */
  private static byte[] frames(Random random) {
    ByteBuffer bytes = ByteBuffer.allocate(64 << 10);
    int count = 1 + random.nextInt(8);
    for (int i = 0; i < count; i++) {
      byte[] payload = new byte[random.nextInt(random.nextBoolean() ? 16 : 2048)];
      random.nextBytes(payload);
      if (random.nextInt(4) == 0) {
        payload = answer();
      } else if (random.nextInt(4) == 0) {
        payload = message(random.nextInt(3), random.nextInt(64), payload);
      }
      int flags = random.nextBoolean() ? random.nextInt(16) : random.nextInt(256);
      byte[] frame = Connection.bytes(random.nextInt(12), flags & ~END_STREAM, 1, payload);
      if (random.nextInt(8) == 0) {
        frame[random.nextInt(9)] = (byte) random.nextInt();
      }
      bytes.put(frame);
    }
    byte[] all = new byte[bytes.position()];
    bytes.flip().get(all);
    return all;
  }

  record Named(String name, Answer answer) {
    @Override
    public String toString() {
      return name;
    }
  }

  @FunctionalInterface
  interface Answer {
    void give(Connection connection, int stream) throws IOException;
  }

  private Guest guest(String sandbox) {
    return Objects.requireNonNull(guests.get(sandbox));
  }

  private HostileGuest hostile(Script script) throws IOException {
    Path link = directory.resolve("hostile.sock");
    HostileGuest guest = new HostileGuest(link, script);
    guests.put(HOSTILE, connector.connect(link));
    return guest;
  }

  private CompletableFuture<Status.Code> list(String sandbox) {
    CompletableFuture<Status.Code> end = new CompletableFuture<>();
    ProcessServiceGrpc.newStub(client)
        .listProcesses(
            ListProcessesRequest.newBuilder().setSandbox(sandbox).build(),
            new StreamObserver<>() {
              @Override
              public void onNext(ListProcessesResponse answer) {}

              @Override
              public void onError(Throwable thrown) {
                end.complete(Status.fromThrowable(thrown).getCode());
              }

              @Override
              public void onCompleted() {
                end.complete(Status.Code.OK);
              }
            });
    return end;
  }

  private static Status.Code end(CompletableFuture<Status.Code> call) throws Exception {
    return call.get(60, TimeUnit.SECONDS);
  }

  private void assertTheOtherAnswers() throws Exception {
    assertThat(end(list(GOOD))).isEqualTo(Status.Code.OK);
  }

  private static void data(Connection c, int stream, byte[] message) throws IOException {
    c.frame(HEADERS, END_HEADERS, stream, answer());
    c.frame(DATA, 0, stream, message);
    c.frame(HEADERS, END_HEADERS | END_STREAM, stream, headers("grpc-status", "0"));
  }

  private static byte[] status(String status) {
    return headers(":status", "200", "content-type", "application/grpc", "grpc-status", status);
  }

  /** A mebibyte of the frame at a time, until nobody takes it any more. */
  private static void flood(Connection c, byte[] frame) throws IOException {
    ByteBuffer many = ByteBuffer.allocate(1 << 20);
    while (many.remaining() >= frame.length) {
      many.put(frame);
    }
    byte[] bytes = new byte[many.position()];
    many.flip().get(bytes);
    while (c.sent() < 2 * MUCH) {
      c.raw(bytes);
    }
  }

  private static byte[] number(int value) {
    return ByteBuffer.allocate(4).putInt(value).array();
  }

  private static byte[] setting(int id, int value) {
    return ByteBuffer.allocate(6).putShort((short) id).putInt(value).array();
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
