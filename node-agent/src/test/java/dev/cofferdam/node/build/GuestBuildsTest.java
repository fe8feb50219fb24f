package dev.cofferdam.node.build;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.node.fake.Acts;
import dev.cofferdam.node.fake.FakeGuests;
import dev.cofferdam.node.fake.Kernel;
import dev.cofferdam.node.oci.OciImage;
import dev.cofferdam.node.oci.TestLayer;
import dev.cofferdam.node.sandbox.Relay;
import dev.cofferdam.node.template.TemplateOrder.ImageSource.Built;
import dev.cofferdam.v1.OutputChunk;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GuestBuildsTest {
  private static final int SLOT = 3;
  private static final Duration LONG = Duration.ofSeconds(60);

  @TempDir Path directory;
  private final Kernel kernel = new Kernel();
  private final FakeGuests guests = new FakeGuests(new Acts(), kernel);
  private final List<List<String>> ran = new CopyOnWriteArrayList<>();
  private final List<String> authorized = new CopyOnWriteArrayList<>();
  private BiConsumer<List<String>, Events> guest = (argv, events) -> succeed(argv, events);
  private Server server;

  @BeforeEach
  void serve() throws IOException {
    kernel.createSlot(SLOT);
    var _ = kernel.start(SLOT, "", () -> {});
    kernel.memory(SLOT).orElseThrow().running = true;
    server =
        InProcessServerBuilder.forName(SLOT + ".sock")
            .addService(new Processes())
            .intercept(
                new ServerInterceptor() {
                  @Override
                  public <Q, A> ServerCall.Listener<Q> interceptCall(
                      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
                    authorized.add(
                        String.valueOf(
                            headers.get(
                                Metadata.Key.of(
                                    "authorization", Metadata.ASCII_STRING_MARSHALLER))));
                    return next.startCall(call, headers);
                  }
                })
            .build()
            .start();
  }

  @AfterEach
  void close() {
    guests.close();
    server.shutdownNow();
  }

  @Test
  void sourcesPackagesStepsAndThenTheWholeFileSystem() throws IOException {
    List<String> packages = List.of("g++", "libfoo=1.2-3~deb12");
    GuestBuilds builds = builds(1 << 20, LONG);
    try (OciImage image =
        builds.build(
            new Built("sb-1", List.of("deb http://a b c"), packages, List.of("one", "two")))) {
      assertThat(image.digest().toString()).startsWith("sha256:");
      assertThat(work()).hasSize(1);
    }
    assertThat(work()).isEmpty();

    assertThat(ran).allMatch(argv -> argv.contains("tar") || argv.get(0).equals("/bin/sh"));
    // What a tenant chose is an argument, never part of a script of ours.
    assertThat(ran.get(0)).endsWith("sh", "deb http://a b c");
    assertThat(ran.get(1)).endsWith("sh", "g++", "libfoo=1.2-3~deb12");
    assertThat(ran.get(1).get(6)).contains("install -- \"$@\"").doesNotContain("libfoo");
    assertThat(ran.get(2)).endsWith("/bin/sh", "-ec", "one", "sh");
    assertThat(ran.get(3)).endsWith("/bin/sh", "-ec", "two", "sh");
    assertThat(ran.getLast()).startsWith("tar").contains("--one-file-system");
    assertThat(ran).hasSize(6);
    assertThat(authorized).containsOnly("Bearer token-of-the-agent");
  }

  @Test
  void aptIsNotAskedWhereNothingIsToBeInstalled() throws IOException {
    builds(1 << 20, LONG).build(built("only")).close();
    assertThat(ran).hasSize(3).noneMatch(argv -> String.join(" ", argv).contains("apt-get"));
  }

  @Test
  void whatFailsIsToldWithTheEndOfItsOutputAndNothingComesAfterIt() throws IOException {
    guest =
        (argv, events) -> {
          if (argv.contains("bad")) {
            events.err("x".repeat(5000) + "\nlast but one\r\nlast\n");
            events.exit(3);
          } else {
            succeed(argv, events);
          }
        };
    assertThatThrownBy(() -> builds(1 << 20, LONG).build(built("good", "bad", "never")))
        .isInstanceOf(IOException.class)
        .hasMessageMatching("step 2 ended with 3: x{990,1024} \\| last but one \\| last");
    assertThat(ran).noneMatch(argv -> argv.contains("never"));
    assertThat(work()).isEmpty();
  }

  @Test
  void whatASignalEndedFailed() throws IOException {
    guest =
        (_, events) ->
            events.event(
                ProcessEvent.newBuilder().setExited(ProcessExited.newBuilder().setSignal(9)));
    assertThatThrownBy(() -> builds(1 << 20, LONG).build(built("one")))
        .hasMessage("step 1 ended with 137");
  }

  @Test
  void aStepThatDoesNotEndIsNotWaitedForForEver() throws IOException {
    guest = (_, events) -> events.out("working on it\n");
    assertThatThrownBy(() -> builds(1 << 20, Duration.ofSeconds(2)).build(built("one")))
        .hasMessageContaining("step 1 did not end within")
        .hasMessageEndingWith("working on it");
  }

  @Test
  void aSandboxThatGoesEndsTheBuild() throws IOException {
    guest =
        (_, events) ->
            events.observer.onError(Status.UNAVAILABLE.withDescription("gone").asException());
    assertThatThrownBy(() -> builds(1 << 20, LONG).build(built("one")))
        .isInstanceOf(IOException.class)
        .hasMessage("step 1: UNAVAILABLE, gone");
    guest = (_, events) -> events.observer.onCompleted();
    assertThatThrownBy(() -> builds(1 << 20, LONG).build(built("one")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("ended before it did");
  }

  @Test
  void aGuestThatSendsForEverIsCutAndLeavesNothing() throws IOException {
    guest =
        (argv, events) -> {
          if (!argv.contains("tar")) {
            succeed(argv, events);
            return;
          }
          ByteString zeros = ByteString.copyFrom(new byte[64 << 10]);
          // On a thread of its own, so that the end is heard on the call's.
          var _ =
              Thread.startVirtualThread(() -> {
                while (!events.observer.isCancelled()) {
                  if (events.observer.isReady()) {
                    events.event(
                        ProcessEvent.newBuilder()
                            .setStdout(OutputChunk.newBuilder().setData(zeros)));
                  } else {
                    LockSupport.parkNanos(1_000_000);
                  }
                }
              });
        };
    assertThatThrownBy(() -> builds(1 << 20, LONG).build(built("one")))
        .hasMessage("its file system is larger than allowed: more than 1048576 bytes");
    assertThat(work()).isEmpty();
  }

  @Test
  void aTarThatFailsIsNoFileSystem() throws IOException {
    for (int code : new int[] {1, 2}) {
      guest =
          (argv, events) -> {
            if (argv.contains("tar")) {
              events.out(
                  new String(
                      new TestLayer().file("f", "x").tar(),
                      java.nio.charset.StandardCharsets.ISO_8859_1));
              events.err("tar: complaint");
              events.exit(code);
            } else {
              succeed(argv, events);
            }
          };
      GuestBuilds builds = builds(1 << 20, LONG);
      if (code == 1) {
        // Something changed while it was read, as it may.
        builds.build(built("one")).close();
      } else {
        assertThatThrownBy(() -> builds.build(built("one")))
            .hasMessage("taking the file system ended with 2: tar: complaint");
      }
      assertThat(work()).isEmpty();
    }
  }

  @Test
  void whatAnEarlierProcessTookGoes() throws IOException {
    Files.createDirectories(directory.resolve("work"));
    Files.writeString(directory.resolve("work").resolve("root-1.tar"), "half");
    var _ = builds(1 << 20, LONG);
    assertThat(work()).isEmpty();
  }

  private static Built built(String... steps) {
    return new Built("sb-1", List.of(), List.of(), List.of(steps));
  }

  private GuestBuilds builds(long limit, Duration step) throws IOException {
    GuestBuilds builds =
        new GuestBuilds(directory.resolve("work"), limit, () -> Long.MAX_VALUE, step);
    builds.within(sandbox -> {
      assertThat(sandbox).isEqualTo("sb-1");
      return new Relay(guests.connect(Path.of(SLOT + ".sock")), "token-of-the-agent");
    });
    return builds;
  }

  private List<Path> work() throws IOException {
    try (var files = Files.list(directory.resolve("work"))) {
      return files.toList();
    }
  }

  private static void succeed(List<String> argv, Events events) {
    if (argv.contains("tar")) {
      events.out(
          new String(
              new TestLayer().file("etc/hostname", "x").tar(),
              java.nio.charset.StandardCharsets.ISO_8859_1));
    }
    events.exit(0);
  }

  /** What a process does. */
  private record Events(ServerCallStreamObserver<ProcessEvent> observer) {
    void event(ProcessEvent.Builder event) {
      observer.onNext(event.build());
    }

    void out(String text) {
      event(ProcessEvent.newBuilder().setStdout(chunk(text)));
    }

    void err(String text) {
      event(ProcessEvent.newBuilder().setStderr(chunk(text)));
    }

    void exit(int code) {
      event(ProcessEvent.newBuilder().setExited(ProcessExited.newBuilder().setExitCode(code)));
      observer.onCompleted();
    }

    private static OutputChunk.Builder chunk(String text) {
      return OutputChunk.newBuilder()
          .setData(ByteString.copyFrom(text, java.nio.charset.StandardCharsets.ISO_8859_1));
    }
  }

  private final class Processes extends ProcessServiceGrpc.ProcessServiceImplBase {
    @Override
    public StreamObserver<StartProcessRequest> startProcess(StreamObserver<ProcessEvent> observer) {
      return new StreamObserver<>() {
        @Override
        public void onNext(StartProcessRequest request) {
          if (request.hasSpec()) {
            List<String> argv = request.getSpec().getArgvList();
            ran.add(argv);
            guest.accept(argv, new Events((ServerCallStreamObserver<ProcessEvent>) observer));
          }
        }

        @Override
        public void onError(Throwable thrown) {}

        @Override
        public void onCompleted() {}
      };
    }
  }
}
