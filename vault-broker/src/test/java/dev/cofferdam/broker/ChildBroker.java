package dev.cofferdam.broker;

import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.testkit.FreePorts;
import dev.cofferdam.testkit.ProcessMemory;
import dev.cofferdam.testkit.ProcessMemory.Hit;
import dev.cofferdam.v1.SecretServiceGrpc;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * {@link Main} in a process of its own, on the database and under the keyset of a test's broker.
 */
final class ChildBroker implements AutoCloseable {
  private static final Pattern CACHED =
      Pattern.compile("cofferdam_broker_cached_values(?:\\{.*})? ([0-9.]+)");

  private final TestBroker broker;
  private final Process process;
  private final Path log;
  private final int mesh;
  private final int tenants;
  private final int admin;
  private final List<ManagedChannel> channels = new ArrayList<>();

  private ChildBroker(
      TestBroker broker, Process process, Path log, int mesh, int tenants, int admin) {
    this.broker = broker;
    this.log = log;
    this.process = process;
    this.mesh = mesh;
    this.tenants = tenants;
    this.admin = admin;
  }

  static ChildBroker start(Path directory, TestBroker broker) throws Exception {
    int mesh = FreePorts.next();
    int tenants = FreePorts.next();
    int admin = FreePorts.next();
    Map<String, String> settings = new TreeMap<>(broker.settings("child"));
    settings.put("mesh.listen", "127.0.0.1:" + mesh);
    settings.put("tenant.listen", "127.0.0.1:" + tenants);
    settings.put("admin.listen", "127.0.0.1:" + admin);
    Path log = directory.resolve("child.log");
    Path config = directory.resolve("child.properties");
    Files.writeString(
        config,
        settings.entrySet().stream()
            .map(entry -> entry.getKey() + "=" + entry.getValue())
            .collect(Collectors.joining("\n")));
    ProcessBuilder builder =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx192m",
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.cofferdam.broker.Main",
                "--config",
                config.toString())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    // As the broker is to be run: BoringSSL frees the buffers in which it decrypted a record
    // without
    // zeroing them (ssl_buffer.cc), so the allocator has to overwrite what is freed.
    builder
        .environment()
        .put("GLIBC_TUNABLES", "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0");
    Process process = builder.start();
    ChildBroker child = new ChildBroker(broker, process, log, mesh, tenants, admin);
    try {
      child.awaitReady();
      return child;
    } catch (Exception | Error e) {
      child.close();
      throw e;
    }
  }

  SecretServiceGrpc.SecretServiceBlockingStub secrets(String token) {
    try {
      ManagedChannel channel =
          Grpc.newChannelBuilder(
                  "127.0.0.1:" + tenants,
                  TlsChannelCredentials.newBuilder()
                      .trustManager(broker.certificates().authorityFile().toFile())
                      .build())
              .overrideAuthority("localhost")
              .build();
      channels.add(channel);
      return SecretServiceGrpc.newBlockingStub(TestBroker.bearing(channel, token))
          .withDeadlineAfter(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  GrantServiceGrpc.GrantServiceBlockingStub scheduler(String token) {
    return GrantServiceGrpc.newBlockingStub(
            TestBroker.bearing(broker.peer("scheduler-svc", "s1", mesh), token))
        .withDeadlineAfter(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
  }

  AttachmentServiceGrpc.AttachmentServiceBlockingStub gateway(String instance) {
    return AttachmentServiceGrpc.newBlockingStub(broker.peer("egress-gateway", instance, mesh))
        .withDeadlineAfter(TestBroker.PATIENCE_S, TimeUnit.SECONDS);
  }

  /** Returns once the cache has zeroed everything, as the broker's own metric says. */
  void awaitNoCachedValues() throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(TestBroker.PATIENCE_S);
    while (System.nanoTime() < end) {
      Matcher cached = CACHED.matcher(get("/metrics"));
      if (cached.find() && Double.parseDouble(cached.group(1)) == 0) {
        return;
      }
    }
    throw new AssertionError("values are still cached");
  }

  /** Everything that it logged. */
  String log() throws IOException {
    return Files.readString(log);
  }

  /** What stays although connections were given the time to end. */
  List<Hit> leftOf(List<String> texts) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(TestBroker.PATIENCE_S);
    while (true) {
      List<Hit> hits = search(texts);
      if (hits.isEmpty() || System.nanoTime() > end) {
        return hits;
      }
    }
  }

  /** Every copy of the texts in the process's memory. */
  List<Hit> search(List<String> texts) throws Exception {
    return memory().search(texts);
  }

  ProcessMemory memory() {
    return new ProcessMemory(process.pid());
  }

  private void awaitReady() throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(TestBroker.PATIENCE_S);
    while (System.nanoTime() < end && process.isAlive()) {
      try {
        if (get("/readyz").startsWith("database: ready")) {
          return;
        }
      } catch (IOException e) {
        // Not listening yet.
      }
      if (process.waitFor(50, TimeUnit.MILLISECONDS)) {
        break;
      }
    }
    throw new AssertionError("the broker did not start:\n" + Files.readString(log));
  }

  private String get(String path) throws IOException, InterruptedException {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(
              HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + admin + path)).build(),
              HttpResponse.BodyHandlers.ofString())
          .body();
    }
  }

  void closeClients() {
    channels.forEach(ManagedChannel::shutdownNow);
    channels.clear();
  }

  @Override
  public void close() {
    closeClients();
    process.destroy();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
