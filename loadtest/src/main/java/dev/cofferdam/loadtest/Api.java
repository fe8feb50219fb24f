package dev.cofferdam.loadtest;

import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.PauseSandboxRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ResumeSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.SecretServiceGrpc;
import dev.cofferdam.v1.SuspendSandboxRequest;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** The public API of the mesh under test, as one tenant. Safe for use by several threads. */
final class Api implements AutoCloseable {
  private static final long CALL_SECONDS = 120;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final List<ManagedChannel> open = new ArrayList<>();
  private final Channel scheduler;
  private final Channel broker;

  private Api(Map<String, String> environment) throws IOException {
    Path authority = Path.of(required(environment, "COFFERDAM_CA"));
    scheduler =
        channel(
            required(environment, "COFFERDAM_API"),
            required(environment, "COFFERDAM_TOKEN"),
            authority);
    broker =
        channel(
            required(environment, "COFFERDAM_BROKER"),
            required(environment, "COFFERDAM_SECRETS_TOKEN"),
            authority);
  }

  /** From the variables that {@code cofferdam env} exports. */
  static Api open(Map<String, String> environment) throws IOException {
    return new Api(environment);
  }

  static String required(Map<String, String> environment, String name) {
    String value = environment.get(name);
    if (value == null || value.isEmpty()) {
      throw new IllegalArgumentException(name + " is not set, see ./cofferdam env");
    }
    return value;
  }

  private Channel channel(String target, String token, Path authority) throws IOException {
    ManagedChannel channel =
        Grpc.newChannelBuilder(
                target, TlsChannelCredentials.newBuilder().trustManager(authority.toFile()).build())
            .build();
    open.add(channel);
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    return ClientInterceptors.intercept(
        channel, MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  Sandbox create(CreateSandboxRequest request) {
    return sandboxes().createSandbox(request);
  }

  void delete(String sandbox) {
    var _ =
        sandboxes().deleteSandbox(DeleteSandboxRequest.newBuilder().setSandbox(sandbox).build());
  }

  void pause(String sandbox) {
    var _ = sandboxes().pauseSandbox(PauseSandboxRequest.newBuilder().setSandbox(sandbox).build());
  }

  void resume(String sandbox) {
    var _ =
        sandboxes().resumeSandbox(ResumeSandboxRequest.newBuilder().setSandbox(sandbox).build());
  }

  void suspend(String sandbox) {
    var _ =
        sandboxes().suspendSandbox(SuspendSandboxRequest.newBuilder().setSandbox(sandbox).build());
  }

  private SandboxServiceGrpc.SandboxServiceBlockingStub sandboxes() {
    return SandboxServiceGrpc.newBlockingStub(scheduler)
        .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS);
  }

  Exec exec(String sandbox, String... argv) {
    return Exec.run(scheduler, sandbox, List.of(argv), CALL_SECONDS);
  }

  String read(String sandbox, String path) {
    StringBuilder text = new StringBuilder();
    FileServiceGrpc.newBlockingStub(scheduler)
        .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS)
        .readFile(ReadFileRequest.newBuilder().setSandbox(sandbox).setPath(path).build())
        .forEachRemaining(part -> text.append(part.getData().toString(StandardCharsets.UTF_8)));
    return text.toString();
  }

  void put(PutSecretRequest request) {
    var _ =
        SecretServiceGrpc.newBlockingStub(broker)
            .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS)
            .putSecret(request);
  }

  void deleteSecret(String name) {
    var _ =
        SecretServiceGrpc.newBlockingStub(broker)
            .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS)
            .deleteSecret(DeleteSecretRequest.newBuilder().setName(name).build());
  }

  @Override
  public void close() {
    open.forEach(ManagedChannel::shutdownNow);
  }
}
