package dev.cofferdam.broker;

import com.google.protobuf.ByteString;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.v1.SecretServiceGrpc;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
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
  private static final int CHUNK = 1 << 20;
  private static final int OVERLAP = 512;
  private static final Pattern HEAP = Pattern.compile("\\[(0x[0-9a-f]+), (0x[0-9a-f]+)");
  private static final Pattern MAPPING =
      Pattern.compile("([0-9a-f]+)-([0-9a-f]+) (r[w-]..) \\S+ \\S+ \\S+\\s*(.*)");
  private static final Pattern CACHED =
      Pattern.compile("cofferdam_broker_cached_values(?:\\{.*})? ([0-9.]+)");

  private final TestBroker broker;
  private final Process process;
  private final Path log;
  private final int mesh;
  private final int tenants;
  private final int admin;
  private final List<ManagedChannel> channels = new ArrayList<>();

  /**
   * A copy that was found.
   *
   * @param before the 32 bytes in front of it, hexadecimal: they tell whose buffer it is
   */
  record Hit(String encoding, boolean onHeap, String mapping, long address, String before) {}

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
    int mesh = freePort();
    int tenants = freePort();
    int admin = freePort();
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

  /** Every copy of the texts in the process's writable memory: raw, base64 and hexadecimal. */
  List<Hit> search(List<String> texts) throws Exception {
    List<Needle> needles = texts.stream().flatMap(text -> Needle.of(text).stream()).toList();
    long[] heap = heap();
    List<Hit> hits = new ArrayList<>();
    try (RandomAccessFile memory = new RandomAccessFile("/proc/" + process.pid() + "/mem", "r")) {
      for (String line : Files.readAllLines(Path.of("/proc/" + process.pid() + "/maps"))) {
        Matcher mapping = MAPPING.matcher(line);
        if (mapping.matches() && mapping.group(3).startsWith("rw")) {
          search(memory, mapping, needles, heap, hits);
        }
      }
    }
    return hits;
  }

  private static void search(
      RandomAccessFile memory, Matcher mapping, List<Needle> needles, long[] heap, List<Hit> hits) {
    long from = Long.parseUnsignedLong(mapping.group(1), 16);
    long to = Long.parseUnsignedLong(mapping.group(2), 16);
    byte[] chunk = new byte[CHUNK + OVERLAP];
    for (long at = from; at < to; at += CHUNK) {
      int length = (int) Math.min(chunk.length, to - at);
      try {
        memory.seek(at);
        memory.readFully(chunk, 0, length);
      } catch (IOException e) {
        // A guard page or one given back meanwhile.
        continue;
      }
      for (int i = 0; i < Math.min(length, CHUNK); i++) {
        // Most memory is zero, and no needle begins so.
        if (chunk[i] != 0) {
          for (Needle needle : needles) {
            if (needle.isAt(chunk, i, length)) {
              long address = at + i;
              boolean onHeap = address >= heap[0] && address < heap[1];
              String before = HexFormat.of().formatHex(chunk, Math.max(0, i - 32), i);
              hits.add(new Hit(needle.form(), onHeap, mapping.group(), address, before));
            }
          }
        }
      }
    }
  }

  /** One form of a text that is looked for. */
  private record Needle(String form, ByteString bytes) {
    static List<Needle> of(String text) {
      byte[] raw = text.getBytes(StandardCharsets.US_ASCII);
      return List.of(
          new Needle("raw", ByteString.copyFrom(raw)),
          // The first characters say enough, and the last depend on what follows.
          new Needle(
              "base64",
              ByteString.copyFromUtf8(
                  Base64.getEncoder().encodeToString(raw).substring(0, raw.length))),
          new Needle("hex", ByteString.copyFromUtf8(HexFormat.of().formatHex(raw))),
          new Needle("utf16", ByteString.copyFrom(text.getBytes(StandardCharsets.UTF_16LE))));
    }

    boolean isAt(byte[] chunk, int at, int length) {
      if (chunk[at] != bytes.byteAt(0) || at + bytes.size() > length) {
        return false;
      }
      for (int i = 1; i < bytes.size(); i++) {
        if (chunk[at + i] != bytes.byteAt(i)) {
          return false;
        }
      }
      return true;
    }
  }

  /** The Java heap's addresses, as the virtual machine tells them. */
  private long[] heap() throws Exception {
    Process jcmd =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "jcmd").toString(),
                Long.toString(process.pid()),
                "GC.heap_info")
            .redirectErrorStream(true)
            .start();
    String text = new String(jcmd.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    long low = Long.MAX_VALUE;
    long high = 0;
    Matcher range = HEAP.matcher(text);
    while (range.find()) {
      low = Math.min(low, Long.decode(range.group(1)));
      high = Math.max(high, Long.decode(range.group(2)));
    }
    if (high == 0) {
      throw new AssertionError("no heap in: " + text);
    }
    return new long[] {low, high};
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

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
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
