package dev.cofferdam.kit.identity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.primitives.Bytes;
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.server.RpcServer;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCalls;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MeshTlsTest {
  private static final MethodDescriptor<StatFileRequest, FileInfo> STAT =
      FileServiceGrpc.getStatFileMethod();

  @TempDir Path directory;

  @Test
  void aReplacedCertificateIsUsedWithoutARestart() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    TlsFiles files = peer(mesh, "before");
    try (MeshTls serverTls = MeshTls.open(tlsFiles(mesh.peer("scheduler-svc", "s1")));
        RpcServer server = whoAmI(serverTls);
        MeshTls tls = MeshTls.open(files, Duration.ofMillis(50))) {
      assertThat(instance(tls, server)).isEqualTo("before");
      peer(mesh, "after");
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      String seen = "before";
      while (seen.equals("before") && System.nanoTime() < deadline) {
        seen = instance(tls, server);
      }
      assertThat(seen).isEqualTo("after");
    }
  }

  /**
   * Certificates of both sides and the CA itself, one after the other as an operator does it: both
   * CAs are trusted before anybody shows a certificate of the new one, and the old one goes last.
   */
  @Test
  void aRotationOfCertificatesAndCaUnderLoadFailsNoCall() throws Exception {
    TestCertificates old = TestCertificates.in(Files.createDirectory(directory.resolve("old")));
    TestCertificates fresh = TestCertificates.in(Files.createDirectory(directory.resolve("new")));
    Path authority = directory.resolve("trusted.pem");
    put(Files.readAllBytes(old.authorityFile()), authority);
    TlsFiles serving = place(authority, "server", old.peer("scheduler-svc", "s1"));
    TlsFiles calling = place(authority, "client", old.peer("node-agent", "before"));
    TlsFiles ofOld = place(old.authorityFile(), "of-old", old.peer("node-agent", "old"));
    TlsFiles ofNew = place(fresh.authorityFile(), "of-new", fresh.peer("node-agent", "new"));
    TlsFiles both = place(authority, "both", fresh.peer("node-agent", "both"));
    Duration soon = Duration.ofMillis(50);
    try (MeshTls serverTls = MeshTls.open(serving, soon);
        MeshTls tls = MeshTls.open(calling, soon);
        MeshTls oldTls = MeshTls.open(ofOld);
        MeshTls newTls = MeshTls.open(ofNew);
        MeshTls newServerTls =
            MeshTls.open(place(authority, "new-server", fresh.peer("scheduler-svc", "s2")), soon);
        RpcServer server = whoAmI(serverTls);
        RpcServer newServer = whoAmI(newServerTls);
        Load load = new Load(tls, server)) {
      eventually(() -> load.seen.contains("before"));

      put(
          Bytes.concat(
              Files.readAllBytes(old.authorityFile()), Files.readAllBytes(fresh.authorityFile())),
          authority);
      try (MeshTls bothTls = MeshTls.open(both)) {
        eventually(() -> succeeds(bothTls, server));
        eventually(() -> succeeds(tls, newServer));
      }
      replace(calling, fresh.peer("node-agent", "after"));
      eventually(() -> load.seen.contains("after"));
      replace(serving, fresh.peer("scheduler-svc", "s1"));
      eventually(() -> succeeds(newTls, server));
      put(Files.readAllBytes(fresh.authorityFile()), authority);
      try (MeshTls trusting =
          MeshTls.open(
              place(fresh.authorityFile(), "old-trusting-new", old.peer("node-agent", "old")))) {
        eventually(() -> !succeeds(trusting, server));
      }
      assertThat(succeeds(oldTls, server)).isFalse();
      int calls = load.calls.get();
      eventually(() -> load.calls.get() > calls + 10);

      assertThat(load.failures).isEmpty();
    }
  }

  /** Calls without end, some over a connection that is kept and most over new ones. */
  private static final class Load implements AutoCloseable {
    final Set<String> seen = ConcurrentHashMap.newKeySet();
    final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    final AtomicInteger calls = new AtomicInteger();
    private final ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor();
    private final ManagedChannel kept;
    private volatile boolean over;

    Load(MeshTls tls, RpcServer server) {
      kept = channel(tls, server);
      for (int i = 0; i < 3; i++) {
        callers.execute(() -> without(() -> seen.add(instance(tls, server))));
      }
      callers.execute(() -> without(() -> ask(kept)));
    }

    private void without(Callable<?> call) {
      while (!over) {
        try {
          var _ = call.call();
          calls.incrementAndGet();
        } catch (Exception e) {
          failures.add(e);
        }
      }
    }

    @Override
    public void close() {
      over = true;
      callers.close();
      kept.shutdownNow();
    }
  }

  private static boolean succeeds(MeshTls tls, RpcServer server) {
    try {
      return !instance(tls, server).isEmpty();
    } catch (StatusRuntimeException e) {
      return false;
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void eventually(BooleanSupplier holds) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!holds.getAsBoolean()) {
      assertThat(System.nanoTime()).isLessThan(deadline);
      LockSupport.parkNanos(1_000_000);
    }
  }

  private TlsFiles place(Path authority, String name, TestCertificates.PeerFiles peer)
      throws IOException {
    TlsFiles files =
        new TlsFiles(
            directory.resolve(name + ".pem"),
            directory.resolve(name + ".key"),
            authority,
            TestCertificates.TRUST_DOMAIN);
    replace(files, peer);
    return files;
  }

  private static void replace(TlsFiles files, TestCertificates.PeerFiles by) throws IOException {
    put(Files.readAllBytes(by.certificate()), files.certificate());
    put(Files.readAllBytes(by.key()), files.key());
  }

  /** Whole or not at all. */
  private static void put(byte[] content, Path file) throws IOException {
    Path beside = file.resolveSibling(file.getFileName() + ".new");
    Files.write(beside, content);
    Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  @Test
  void theEndOfTheCertificateInForceIsAMetric() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    TlsFiles files = peer(mesh, "n1");
    SimpleMeterRegistry meters = new SimpleMeterRegistry();
    try (MeshTls tls = MeshTls.open(files)) {
      tls.bindTo(meters);
      X509Certificate certificate;
      try (InputStream in = Files.newInputStream(files.certificate())) {
        certificate =
            (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
      }
      assertThat(meters.get("cofferdam.certificate.not.after").timeGauge().value(TimeUnit.SECONDS))
          .isEqualTo((double) certificate.getNotAfter().toInstant().getEpochSecond());
    }
  }

  @Test
  void aKeyThatIsNotTheCertificatesIsNeverUsed() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    TlsFiles files = tlsFiles(mesh.peer("node-agent", "n1"));
    TlsFiles other = tlsFiles(mesh.peer("node-agent", "n2"));
    Files.copy(other.key(), files.key(), StandardCopyOption.REPLACE_EXISTING);
    assertThatThrownBy(() -> MeshTls.open(files))
        .hasMessageContaining("the key is not the certificate's")
        .hasMessageContaining(files.key().toString());
  }

  @Test
  void aMissingFileIsNamed() {
    TlsFiles missing =
        new TlsFiles(
            directory.resolve("absent.pem"),
            directory.resolve("k"),
            directory.resolve("c"),
            "test.local");
    assertThatThrownBy(() -> MeshTls.open(missing)).hasMessageContaining("absent.pem");
  }

  private static TlsFiles tlsFiles(TestCertificates.PeerFiles files) {
    return new TlsFiles(
        files.certificate(), files.key(), files.authority(), TestCertificates.TRUST_DOMAIN);
  }

  private static TlsFiles peer(TestCertificates mesh, String instance) {
    return tlsFiles(
        mesh.withUris(
            "rotating",
            new PeerIdentity("node-agent", instance).uri(TestCertificates.TRUST_DOMAIN)));
  }

  private static RpcServer whoAmI(MeshTls tls) throws Exception {
    return RpcServer.builder("test", new InetSocketAddress("127.0.0.1", 0))
        .tls(tls.server(ClientAuth.REQUIRE), TestCertificates.TRUST_DOMAIN)
        .meters(new SimpleMeterRegistry())
        .rules(CallRules.builder().peers(STAT, "node-agent").build())
        .service(
            ServerServiceDefinition.builder(STAT.getServiceName())
                .addMethod(
                    STAT,
                    ServerCalls.asyncUnaryCall((request, answer) -> {
                      answer.onNext(
                          FileInfo.newBuilder()
                              .setPath(Callers.peer().identity().instance())
                              .build());
                      answer.onCompleted();
                    }))
                .build())
        .start();
  }

  private static ManagedChannel channel(MeshTls tls, RpcServer server) {
    return new MeshChannels(tls)
        .to(InetSocketAddress.createUnresolved("127.0.0.1", server.port()), "scheduler-svc");
  }

  private static String ask(ManagedChannel channel) {
    return FileServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(30, TimeUnit.SECONDS)
        .statFile(StatFileRequest.getDefaultInstance())
        .getPath();
  }

  private static String instance(MeshTls tls, RpcServer server) throws InterruptedException {
    ManagedChannel channel = channel(tls, server);
    try {
      return ask(channel);
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }
}
