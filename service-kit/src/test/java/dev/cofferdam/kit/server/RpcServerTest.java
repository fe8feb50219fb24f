package dev.cofferdam.kit.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.call.TokenVerifier;
import dev.cofferdam.kit.client.MeshChannels;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.MakeDirectoryRequest;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.handler.ssl.ClientAuth;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The listener as its callers meet it: real TLS, real channels. */
class RpcServerTest {
  private static final String TOKEN = "cfd_tk_0123456789abcdef";

  @TempDir Path directory;
  private final Deque<AutoCloseable> open = new ArrayDeque<>();
  private TestCertificates mesh;
  private RpcServer server;

  /** StatFile is for node-agents, MakeDirectory for tenants; the answer says who called. */
  private static class WhoAmI extends FileServiceGrpc.FileServiceImplBase {
    @Override
    public void statFile(StatFileRequest request, StreamObserver<FileInfo> answer) {
      answer.onNext(FileInfo.newBuilder().setPath(Callers.peer().identity().instance()).build());
      answer.onCompleted();
    }

    @Override
    public void makeDirectory(MakeDirectoryRequest request, StreamObserver<FileInfo> answer) {
      if (request.getPath().isEmpty()) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_PATH_INVALID, "path is '', expected an absolute one");
      }
      answer.onNext(FileInfo.newBuilder().setPath(Callers.tenant().tenant()).build());
      answer.onCompleted();
    }
  }

  private static CallRules.Builder rules() {
    return CallRules.builder()
        .peers(FileServiceGrpc.getStatFileMethod(), "node-agent")
        .tenant(FileServiceGrpc.getMakeDirectoryMethod(), "files");
  }

  private static CallRules all() {
    CallRules.Builder rules = rules();
    CallRules named = rules.build();
    FileServiceGrpc.getServiceDescriptor().getMethods().stream()
        .filter(method -> named.rule(method.getFullMethodName()).isEmpty())
        .forEach(rules::open);
    return rules.build();
  }

  /** Never answers. */
  private static final class Silent extends WhoAmI {
    final CountDownLatch reached = new CountDownLatch(1);
    final CountDownLatch left = new CountDownLatch(1);

    @Override
    public void readFile(ReadFileRequest request, StreamObserver<ReadFileResponse> answer) {
      ((ServerCallStreamObserver<ReadFileResponse>) answer).setOnCancelHandler(left::countDown);
      reached.countDown();
    }
  }

  @Test
  void aCallThatIsOpenWhenTheListenerStopsEndsAsOfAServiceThatIsAway() throws Exception {
    MeshTls tls = keep(MeshTls.open(tlsFiles(mesh.peer("scheduler-svc", "s2"))));
    Silent silent = new Silent();
    RpcServer stopping =
        keep(
            RpcServer.builder("stopping", new InetSocketAddress("127.0.0.1", 0))
                .meters(new SimpleMeterRegistry())
                .rules(all())
                .service(silent)
                .tls(tls.server(ClientAuth.OPTIONAL), TestCertificates.TRUST_DOMAIN)
                .start());
    ManagedChannel channel =
        new MeshChannels(tls)
            .to(InetSocketAddress.createUnresolved("127.0.0.1", stopping.port()), "scheduler-svc");
    keep(channel::shutdownNow);
    Iterator<ReadFileResponse> answers =
        FileServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(30, TimeUnit.SECONDS)
            .readFile(ReadFileRequest.getDefaultInstance());
    CompletableFuture<Throwable> end =
        CompletableFuture.supplyAsync(
            () -> catchThrowable(answers::hasNext), Thread::startVirtualThread);
    assertThat(silent.reached.await(30, TimeUnit.SECONDS)).isTrue();
    stopping.close();
    assertThat(Status.fromThrowable(end.get(30, TimeUnit.SECONDS)).getCode())
        .isEqualTo(Status.Code.UNAVAILABLE);
    assertThat(silent.left.await(30, TimeUnit.SECONDS)).as("its handler is told").isTrue();
  }

  @BeforeEach
  void start() throws Exception {
    mesh = TestCertificates.in(directory);
    MeshTls tls = keep(MeshTls.open(tlsFiles(mesh.peer("scheduler-svc", "s1"))));
    TokenVerifier tokens =
        token ->
            token.equals(TOKEN)
                ? Optional.of(new Caller.Tenant("acme", Set.of("files"), "tk"))
                : token.equals("narrow")
                    ? Optional.of(new Caller.Tenant("acme", Set.of("exec"), "tk"))
                    : Optional.empty();
    server =
        keep(
            builder(all())
                .tls(tls.server(ClientAuth.OPTIONAL), TestCertificates.TRUST_DOMAIN)
                .tokens(tokens)
                .start());
  }

  private static RpcServer.Builder builder(CallRules rules) {
    return RpcServer.builder("test", new InetSocketAddress("127.0.0.1", 0))
        .meters(new SimpleMeterRegistry())
        .rules(rules)
        .service(new WhoAmI());
  }

  @AfterEach
  void stop() throws Exception {
    while (!open.isEmpty()) {
      open.pop().close();
    }
  }

  @Test
  void aPeerIsKnownByItsCertificate() {
    assertThat(
            stub(tlsFiles(mesh.peer("node-agent", "n7")))
                .statFile(StatFileRequest.getDefaultInstance())
                .getPath())
        .isEqualTo("n7");
  }

  @Test
  void anotherServiceIsRefused() {
    assertRefused(
        () ->
            stub(tlsFiles(mesh.peer("egress-gateway", "g1")))
                .statFile(StatFileRequest.getDefaultInstance()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
  }

  @Test
  void aTenantCannotCallWhatIsForPeers() throws Exception {
    assertRefused(
        () -> tenant(TOKEN).statFile(StatFileRequest.getDefaultInstance()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
  }

  @Test
  void aPeerWithoutATokenCannotCallWhatIsForTenants() {
    assertRefused(
        () ->
            stub(tlsFiles(mesh.peer("node-agent", "n7")))
                .makeDirectory(MakeDirectoryRequest.getDefaultInstance()),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_MISSING);
  }

  @Test
  void tokensAreHeldToTheirScopes() throws Exception {
    MakeDirectoryRequest request = MakeDirectoryRequest.newBuilder().setPath("/x").build();
    assertThat(tenant(TOKEN).makeDirectory(request).getPath()).isEqualTo("acme");
    assertRefused(
        () -> tenant("wrong").makeDirectory(request),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
    assertRefused(
        () -> tenant("narrow").makeDirectory(request),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
  }

  @Test
  void aRefusalReachesTheClientWithItsReason() throws Exception {
    assertRefused(
        () -> tenant(TOKEN).makeDirectory(MakeDirectoryRequest.getDefaultInstance()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_PATH_INVALID);
  }

  @Test
  void aMethodWithoutCallersStopsTheStart() {
    assertThatThrownBy(() ->
            builder(rules().build())
                .tls(
                    keep(MeshTls.open(tlsFiles(mesh.peer("scheduler-svc", "s2"))))
                        .server(ClientAuth.REQUIRE),
                    "x")
                .start())
        .hasMessageContaining("no callers named for")
        .hasMessageContaining("cofferdam.v1.FileService/ReadFile");
  }

  @Test
  void aForeignCaAnExpiredCertificateAndAWrongUriAreRefused() throws Exception {
    TlsFiles theirs =
        tlsFiles(
            TestCertificates.in(Files.createDirectory(directory.resolve("foreign")))
                .peer("node-agent", "n1"));
    assertUnavailable(
        new TlsFiles(
            theirs.certificate(),
            theirs.key(),
            mesh.authorityFile(),
            TestCertificates.TRUST_DOMAIN));
    Instant now = Instant.now();
    assertUnavailable(
        tlsFiles(mesh.peer("node-agent", "n1", now.minusSeconds(120), now.minusSeconds(60))));
    assertUnavailable(tlsFiles(mesh.withUris("odd", "spiffe://elsewhere/node-agent/n1")));
  }

  @Test
  void aClientRefusesAServerOfAnotherService() throws Exception {
    MeshTls tls = keep(MeshTls.open(tlsFiles(mesh.peer("node-agent", "n1"))));
    ManagedChannel channel = channel(tls, "vault-broker");
    assertThatThrownBy(() ->
            FileServiceGrpc.newBlockingStub(channel).statFile(StatFileRequest.getDefaultInstance()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE));
  }

  private static TlsFiles tlsFiles(TestCertificates.PeerFiles files) {
    return new TlsFiles(
        files.certificate(), files.key(), files.authority(), TestCertificates.TRUST_DOMAIN);
  }

  private void assertUnavailable(TlsFiles files) {
    assertThatThrownBy(() -> stub(files).statFile(StatFileRequest.getDefaultInstance()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE));
  }

  private static void assertRefused(
      org.assertj.core.api.ThrowableAssert.ThrowingCallable call,
      Status.Code code,
      ErrorReason reason) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(Refusals.reason(e)).isEqualTo(Optional.of(reason));
              assertThat(e.getStatus().getCode()).isEqualTo(code);
            });
  }

  private FileServiceGrpc.FileServiceBlockingStub stub(TlsFiles files) {
    return FileServiceGrpc.newBlockingStub(channel(keep(MeshTls.open(files)), "scheduler-svc"))
        .withDeadlineAfter(10, TimeUnit.SECONDS);
  }

  private ManagedChannel channel(MeshTls tls, String service) {
    ManagedChannel channel =
        new MeshChannels(tls)
            .to(InetSocketAddress.createUnresolved("127.0.0.1", server.port()), service);
    open.push(channel::shutdownNow);
    return channel;
  }

  private FileServiceGrpc.FileServiceBlockingStub tenant(String token) throws Exception {
    ManagedChannel channel =
        Grpc.newChannelBuilder(
                "127.0.0.1:" + server.port(),
                TlsChannelCredentials.newBuilder()
                    .trustManager(mesh.authorityFile().toFile())
                    .build())
            .overrideAuthority("localhost")
            .build();
    open.push(channel::shutdownNow);
    return FileServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(Callers.bearer(token)))
        .withDeadlineAfter(10, TimeUnit.SECONDS);
  }

  private <T extends AutoCloseable> T keep(T resource) {
    open.push(resource);
    return resource;
  }
}
