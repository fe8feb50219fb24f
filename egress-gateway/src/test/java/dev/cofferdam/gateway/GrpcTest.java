package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** gRPC's own client through the gateway to gRPC's own server: all four kinds of calls. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class GrpcTest {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> ECHO =
      Metadata.Key.of("x-echo", Metadata.ASCII_STRING_MARSHALLER);
  private static final Context.Key<String> CREDENTIAL = Context.key("credential");

  private static final MethodDescriptor<String, String> UNARY = method("unary", MethodType.UNARY);
  private static final MethodDescriptor<String, String> DOWN =
      method("down", MethodType.SERVER_STREAMING);
  private static final MethodDescriptor<String, String> UP =
      method("up", MethodType.CLIENT_STREAMING);
  private static final MethodDescriptor<String, String> BOTH =
      method("both", MethodType.BIDI_STREAMING);

  /** What a server answers when it is asked for what it has not: a head and no more. */
  private static final MethodDescriptor<String, String> UNKNOWN =
      method("unknown", MethodType.UNARY);

  private final List<String> credentials = new ArrayList<>();
  private Harness harness;
  private Server server;
  private ManagedChannel channel;

  private static MethodDescriptor<String, String> method(String name, MethodType type) {
    MethodDescriptor.Marshaller<String> text =
        new MethodDescriptor.Marshaller<>() {
          @Override
          public InputStream stream(String value) {
            return new ByteArrayInputStream(value.getBytes(StandardCharsets.UTF_8));
          }

          @Override
          public String parse(InputStream stream) {
            try {
              return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        };
    return MethodDescriptor.newBuilder(text, text)
        .setFullMethodName("test.Calls/" + name)
        .setType(type)
        .build();
  }

  @BeforeAll
  void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, true);
    KeyPair key = TestPki.newKey();
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.2", 0))
            .sslContext(
                GrpcSslContexts.configure(
                        SslContextBuilder.forServer(
                            key.getPrivate(),
                            harness.public_.leaf(
                                key.getPublic(), Duration.ofHours(1), "api.example.test")))
                    .build())
            .addService(ServerInterceptors.intercept(calls(), new Credentials()))
            .build()
            .start();
    harness.policy(Harness.rule("api.example.test", server.getPort()));
    int listener = harness.listen("127.0.0.1", server.getPort());
    channel =
        NettyChannelBuilder.forAddress(new InetSocketAddress("127.0.0.1", listener))
            .overrideAuthority("api.example.test")
            .localSocketPicker(
                new NettyChannelBuilder.LocalSocketPicker() {
                  @Override
                  public InetSocketAddress createSocketAddress(
                      java.net.SocketAddress remote, io.grpc.Attributes attributes) {
                    try {
                      return new InetSocketAddress(InetAddress.getByName(Harness.SLOT), 0);
                    } catch (IOException e) {
                      throw new UncheckedIOException(e);
                    }
                  }
                })
            .sslContext(GrpcSslContexts.forClient().trustManager(harness.lineage.root).build())
            .build();
  }

  @AfterAll
  void stop() throws Exception {
    channel.shutdownNow();
    server.shutdownNow();
    harness.close();
  }

  @BeforeEach
  void forget() {
    credentials.clear();
    harness.broker.materialised.clear();
    harness.broker.events.clear();
  }

  private final class Credentials implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      String credential = String.valueOf(headers.get(AUTHORIZATION));
      credentials.add(credential);
      return Contexts.interceptCall(
          Context.current().withValue(CREDENTIAL, credential), call, headers, next);
    }
  }

  private static ServerServiceDefinition calls() {
    return ServerServiceDefinition.builder("test.Calls")
        .addMethod(
            UNARY,
            ServerCalls.asyncUnaryCall((String request, StreamObserver<String> answers) -> {
              if (request.startsWith("fail")) {
                Metadata trailers = new Metadata();
                trailers.put(ECHO, CREDENTIAL.get());
                answers.onError(
                    Status.DATA_LOSS.withDescription("lost").asRuntimeException(trailers));
                return;
              }
              answers.onNext(request + " answered, " + CREDENTIAL.get());
              answers.onCompleted();
            }))
        .addMethod(
            DOWN,
            ServerCalls.asyncServerStreamingCall(
                (String request, StreamObserver<String> answers) -> {
                  for (int i = 0; i < 100; i++) {
                    answers.onNext(request + i);
                  }
                  answers.onCompleted();
                }))
        .addMethod(UP, ServerCalls.asyncClientStreamingCall(GrpcTest::joined))
        .addMethod(BOTH, ServerCalls.asyncBidiStreamingCall(GrpcTest::inTurns))
        .build();
  }

  private static StreamObserver<String> joined(StreamObserver<String> answers) {
    List<String> all = new ArrayList<>();
    return new Requests(answers) {
      @Override
      public void onNext(String request) {
        all.add(request);
      }

      @Override
      public void onCompleted() {
        answers.onNext(String.join(",", all));
        answers.onCompleted();
      }
    };
  }

  /** Speaks first, and then once to each request. */
  private static StreamObserver<String> inTurns(StreamObserver<String> answers) {
    answers.onNext("ready");
    return new Requests(answers) {
      @Override
      public void onNext(String request) {
        answers.onNext("to " + request);
      }

      @Override
      public void onCompleted() {
        answers.onCompleted();
      }
    };
  }

  private abstract static class Requests implements StreamObserver<String> {
    private final StreamObserver<String> answers;

    Requests(StreamObserver<String> answers) {
      this.answers = answers;
    }

    @Override
    public void onError(Throwable thrown) {
      answers.onError(Status.CANCELLED.asRuntimeException());
    }
  }

  /** Answers one at a time, then "end". */
  private static final class Answers implements StreamObserver<String> {
    private final BlockingQueue<String> all = new LinkedBlockingQueue<>();

    @Override
    public void onNext(String answer) {
      all.add(answer);
    }

    @Override
    public void onError(Throwable thrown) {
      all.add("error " + thrown);
    }

    @Override
    public void onCompleted() {
      all.add("end");
    }

    String next() throws InterruptedException {
      String next = all.poll(20, TimeUnit.SECONDS);
      if (next == null) {
        throw new AssertionError("no answer came");
      }
      return next;
    }
  }

  private static CallOptions options() {
    return CallOptions.DEFAULT.withDeadlineAfter(Duration.ofSeconds(60));
  }

  private Channel with(String credential) {
    Metadata metadata = new Metadata();
    metadata.put(AUTHORIZATION, credential);
    return ClientInterceptors.intercept(
        channel, MetadataUtils.newAttachHeadersInterceptor(metadata));
  }

  private static StatusRuntimeException failure(
      Channel through, MethodDescriptor<String, String> method, String request) {
    AtomicReference<StatusRuntimeException> thrown = new AtomicReference<>();
    assertThatThrownBy(() -> ClientCalls.blockingUnaryCall(through, method, options(), request))
        .isInstanceOfSatisfying(StatusRuntimeException.class, thrown::set);
    return thrown.get();
  }

  @Test
  void oneRequestAndOneAnswer() {
    assertThat(ClientCalls.blockingUnaryCall(channel, UNARY, options(), "a"))
        .isEqualTo("a answered, null");
  }

  @Test
  void manyAnswers() {
    Iterator<String> answers =
        ClientCalls.blockingServerStreamingCall(channel, DOWN, options(), "n");
    for (int i = 0; i < 100; i++) {
      assertThat(answers.next()).isEqualTo("n" + i);
    }
    assertThat(answers.hasNext()).isFalse();
  }

  @Test
  void manyRequests() throws Exception {
    Answers answers = new Answers();
    StreamObserver<String> requests =
        ClientCalls.asyncClientStreamingCall(channel.newCall(UP, options()), answers);
    for (int i = 0; i < 3; i++) {
      requests.onNext("r" + i);
    }
    requests.onCompleted();

    assertThat(answers.next()).isEqualTo("r0,r1,r2");
    assertThat(answers.next()).isEqualTo("end");
  }

  /** Neither side says more before it has heard the other, the server first. */
  @Test
  void bothInTurns() throws Exception {
    Answers answers = new Answers();
    StreamObserver<String> requests =
        ClientCalls.asyncBidiStreamingCall(with("none").newCall(BOTH, options()), answers);

    assertThat(answers.next()).isEqualTo("ready");
    for (int i = 0; i < 5; i++) {
      requests.onNext("r" + i);
      assertThat(answers.next()).isEqualTo("to r" + i);
    }
    requests.onCompleted();
    assertThat(answers.next()).isEqualTo("end");
  }

  @Test
  void bothInTurnsWithASecret() throws Exception {
    Answers answers = new Answers();
    StreamObserver<String> requests =
        ClientCalls.asyncBidiStreamingCall(
            with("Bearer " + Harness.PLACEHOLDER).newCall(BOTH, options()), answers);

    assertThat(answers.next()).isEqualTo("ready");
    requests.onNext("r");
    assertThat(answers.next()).isEqualTo("to r");
    requests.onCompleted();
    assertThat(answers.next()).isEqualTo("end");
    assertThat(credentials).containsExactly("Bearer " + Harness.VALUE);
  }

  @Test
  void aFailuresStatusAndTrailersArriveAndAnEchoInThemIsThePlaceholder() {
    StatusRuntimeException thrown = failure(with("Bearer " + Harness.PLACEHOLDER), UNARY, "fail");

    assertThat(thrown.getStatus().getCode()).isEqualTo(Status.Code.DATA_LOSS);
    assertThat(thrown.getStatus().getDescription()).isEqualTo("lost");
    assertThat(Objects.requireNonNull(thrown.getTrailers()).get(ECHO))
        .isEqualTo("Bearer " + Harness.PLACEHOLDER);
    assertThat(credentials).containsExactly("Bearer " + Harness.VALUE);
  }

  @Test
  void aFailureThatIsAHeadAloneArrives() {
    assertThat(failure(channel, UNKNOWN, "x").getStatus().getCode())
        .isEqualTo(Status.Code.UNIMPLEMENTED);
  }

  @AttackRow(16)
  @Test
  void aPlaceholderInAMessageEndsTheCallAndIsNotPassedOn() throws Exception {
    Answers answers = new Answers();
    StreamObserver<String> requests =
        ClientCalls.asyncBidiStreamingCall(channel.newCall(BOTH, options()), answers);
    assertThat(answers.next()).isEqualTo("ready");

    requests.onNext("it is " + Harness.PLACEHOLDER);

    assertThat(answers.next()).startsWith("error");
    assertThat(harness.broker.event(e -> e.getPath().endsWith("/both")).getReason().name())
        .isEqualTo("EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET");
    assertThat(harness.broker.materialised).isEmpty();
  }

  /** Message by message, while both sides speak. */
  @AttackRow(55)
  @Test
  void dataRulesAreForEachMessage() throws Exception {
    EgressPolicy.Builder policy =
        EgressPolicy.newBuilder()
            .addRules(Harness.rule("api.example.test", server.getPort()))
            .addData(
                DataRule.newBuilder()
                    .addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES)
                    .setAction(DataAction.DATA_ACTION_REDACT));
    harness.apply(
        Harness.attachment(harness.port).setPolicyRevision(100).setPolicy(policy).build());
    try {
      Answers answers = new Answers();
      StreamObserver<String> requests =
          ClientCalls.asyncBidiStreamingCall(channel.newCall(BOTH, options()), answers);
      assertThat(answers.next()).isEqualTo("ready");
      for (String clean : new String[] {"jane.doe@", "example.com"}) {
        requests.onNext(clean);
        assertThat(answers.next()).isEqualTo("to " + clean);
      }
      requests.onNext("it is jane.doe@example.com");
      assertThat(answers.next()).startsWith("error");
      assertThat(harness.broker.event(e -> e.getPath().endsWith("/both")).getDataList())
          .containsExactly("1:email_addresses");
    } finally {
      policy.clearData();
      harness.apply(
          Harness.attachment(harness.port).setPolicyRevision(101).setPolicy(policy).build());
    }
  }

  /** Packed one by one, messages could not be searched. */
  @AttackRow(13)
  @Test
  void packedMessagesAreRefused() throws Exception {
    StatusRuntimeException thrown = null;
    try {
      ClientCalls.blockingUnaryCall(channel, UNARY, options().withCompression("gzip"), "x");
    } catch (StatusRuntimeException e) {
      thrown = e;
    }
    assertThat(thrown).isNotNull();
    assertThat(harness.broker.event(e -> e.getPath().endsWith("/unary")).getReason().name())
        .isEqualTo("EGRESS_REASON_CONTENT_ENCODING");
    assertThat(credentials).isEmpty();
  }
}
