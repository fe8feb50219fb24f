package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.kit.identity.MeshTls;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.testkit.FreePorts;
import dev.cofferdam.testkit.ProcessMemory;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.EgressPolicy;
import io.netty.handler.ssl.ClientAuth;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * A gateway in a process of its own that uses a secret, and the whole heap of it, garbage included:
 * neither while the value is in use nor after is it there. As root alone, for the gateway shuts its
 * memory to all others.
 */
@EnabledOnOs(OS.LINUX)
final class HeapDumpTest {
  private static final String TOKEN = "cfp_" + "H1e2A3p4D5u6M7p8H9e0A1p2D3u4M5p6H7e8A9p0abc";
  private final TestPki lineage = new TestPki("lineage");
  private final TestPki authority = new TestPki("public");
  @TempDir Path directory;

  private static String canary() {
    Random random = new Random();
    StringBuilder text = new StringBuilder("canary-");
    for (int i = 0; i < 40; i++) {
      text.append(Character.forDigit(random.nextInt(36), 36));
    }
    return text.toString();
  }

  private TlsFiles files(TestCertificates mesh, String service) {
    TestCertificates.PeerFiles peer = mesh.peer(service, service + "-1");
    return new TlsFiles(
        peer.certificate(), peer.key(), peer.authority(), TestCertificates.TRUST_DOMAIN);
  }

  /** Its explicit proxy alone: no socket to inherit. */
  private Process gateway(TestCertificates mesh, int broker, int proxy) throws IOException {
    TestCertificates.PeerFiles own = mesh.peer("egress-gateway", "gateway-1");
    Path config =
        Files.write(
            directory.resolve("gateway.properties"),
            List.of(
                "control.listen=127.0.0.1:" + FreePorts.next(),
                "admin.listen=127.0.0.1:" + FreePorts.next(),
                "tls.certificate=" + own.certificate(),
                "tls.key=" + own.key(),
                "tls.authority=" + own.authority(),
                "broker.address=127.0.0.1:" + broker,
                "state.dir=" + Files.createDirectories(directory.resolve("state")),
                "upstream.ca-file=" + authority.writeRoot(directory),
                "hosts.file="
                    + Files.writeString(directory.resolve("hosts"), "127.0.0.2 api.example.test\n"),
                "proxy.listen=127.0.0.1:" + proxy));
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx192m",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-cp",
            System.getProperty("java.class.path"),
            "dev.cofferdam.gateway.Main",
            "--config",
            config.toString())
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve("gateway.log").toFile())
        .start();
  }

  private RawGuest tunnel(Process gateway, int proxy, int port) throws Exception {
    InetSocketAddress address = new InetSocketAddress("127.0.0.1", proxy);
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (true) {
      try (Socket listening = new Socket()) {
        listening.connect(address);
        break;
      } catch (IOException e) {
        if (System.nanoTime() > end || gateway.waitFor(50, TimeUnit.MILLISECONDS)) {
          throw new AssertionError(Files.readString(directory.resolve("gateway.log")), e);
        }
      }
    }
    RawGuest program = new RawGuest("127.0.0.1", address, lineage);
    String host = "api.example.test:" + port;
    program.send(
        "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer %s\r\n\r\n"
            .formatted(host, host, TOKEN));
    try {
      assertThat(program.until("\r\n\r\n")).startsWith("HTTP/1.1 200 ");
    } catch (IOException e) {
      throw new AssertionError(Files.readString(directory.resolve("gateway.log")), e);
    }
    return program.tls("api.example.test");
  }

  @Test
  void neitherInUseNorAfterIsTheValueInTheHeap() throws Exception {
    TestCertificates mesh = TestCertificates.in(directory);
    KeyPair key = TestPki.newKey();
    String value = canary();
    int proxy = FreePorts.next();
    try (MeshTls tls = MeshTls.open(files(mesh, "vault-broker"));
        FakeBroker broker =
            new FakeBroker(lineage, b -> b.sslContext(tls.server(ClientAuth.REQUIRE)));
        TestUpstream upstream =
            new TestUpstream(
                new InetSocketAddress("127.0.0.2", 0),
                key,
                false,
                authority.leaf(key.getPublic(), Duration.ofHours(1), "api.example.test"))) {
      broker.secret(Harness.PLACEHOLDER, value);
      broker.put(session(upstream.port()));
      Process gateway = gateway(mesh, broker.port(), proxy);
      try (RawGuest program = tunnel(gateway, proxy, upstream.port())) {
        ProcessMemory memory = new ProcessMemory(gateway.pid());
        String head =
            " HTTP/1.1\r\nHost: api.example.test:%d\r\nAuthorization: Bearer %s\r\n\r\n"
                .formatted(upstream.port(), Harness.PLACEHOLDER);
        for (String path : List.of("/echo", "/base64", "/header", "/gzip")) {
          assertThat(program.send("GET " + path + head).answer().status()).isEqualTo(200);
        }
        assertThat(upstream.received.getLast().header("authorization"))
            .isEqualTo("Bearer " + value);
        // Its answer never ends, and until then it is searched for the value.
        program.send("GET /stall" + head).until("line\n");

        assumeTrue(Files.isReadable(Path.of("/proc/" + gateway.pid() + "/mem")), "not root");
        assertThat(memory.search(List.of(value)))
            .as("while it is in use it is in the process, outside the heap")
            .isNotEmpty()
            .noneMatch(ProcessMemory.Hit::onHeap);
        assertThat(memory.dump(directory, true, List.of(value))).as("in use").isEmpty();
        assertThat(memory.dump(directory, true, List.of(Harness.PLACEHOLDER)))
            .as("the search finds what is in the heap")
            .isNotEmpty();
        upstream.hangUp();
        assertThat(program.hungUpOn()).isTrue();
        assertThat(memory.dump(directory, true, List.of(value))).as("after use").isEmpty();
      } finally {
        gateway.destroyForcibly().waitFor();
      }
    }
  }

  private static Attachment session(int port) {
    return Attachment.newBuilder()
        .setSandbox("es-1")
        .setTenant("default")
        .setLineage("ln-1")
        .setGeneration(1)
        .setNode("explicit-proxy")
        .setSlotAddress("100:0:0:0:1:2:3:4")
        .setPolicyRevision(1)
        .setPolicy(EgressPolicy.newBuilder().addRules(Harness.rule("api.example.test", port)))
        .addSecrets(Harness.granted("api-key", Harness.PLACEHOLDER, "api.example.test", false))
        .setProxyTokenSha256(ByteString.copyFrom(PlaceholderHash.of(TOKEN).bytes()))
        .build();
  }
}
