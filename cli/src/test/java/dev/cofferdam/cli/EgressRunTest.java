package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.v1.EgressProxy;
import dev.cofferdam.v1.SecretReference;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real commands in real namespaces. */
@Timeout(60)
final class EgressRunTest {
  @TempDir private Path directory = Path.of("unset");

  private final FakeMesh mesh = new FakeMesh();
  private final FakeTerminal terminal = new FakeTerminal();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @AfterEach
  void shutDown() {
    mesh.shutDown();
  }

  private int run(String script) {
    return Main.commandLine(
            new Context(
                () -> mesh,
                InputStream.nullInputStream(),
                new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                terminal))
        .execute(
            "egress",
            "run",
            "--allow-net",
            "api.example.com",
            "--secret",
            "api-key",
            "--",
            "bash",
            "-c",
            script,
            "bash",
            directory.toString());
  }

  private String file(String name) throws Exception {
    return Files.readString(directory.resolve(name));
  }

  @Test
  void theCommandGetsItsSurroundingsAndItsCodeIsPassedOn() throws Exception {
    int code =
        run(
            "env > $1/env; cat $SSL_CERT_FILE > $1/roots; grep Cap /proc/self/status > $1/caps;"
                + " exit 7");

    assertThat(code).as(err.toString(StandardCharsets.UTF_8)).isEqualTo(7);
    assertThat(file("env"))
        .contains("HTTPS_PROXY=http://cofferdam:" + FakeEgress.TOKEN + "@127.0.0.1:3128\n")
        .contains("http_proxy=http://cofferdam:" + FakeEgress.TOKEN + "@127.0.0.1:3128\n")
        .contains("API_KEY=cofferdam_placeholder\n")
        .contains("NODE_EXTRA_CA_CERTS=")
        .doesNotContain("COFFERDAM_");
    assertThat(file("roots")).endsWith("\nthe session's root\n");
    // No capability, not even over its own network.
    assertThat(file("caps").replaceAll("Cap[A-Za-z]+:\\s*0{16}\\s*", "")).isEmpty();
    assertThat(mesh.egress.created.getFirst().getSecretsList())
        .containsExactly(SecretReference.newBuilder().setSecret("api-key").build());
    assertThat(mesh.egress.created.getFirst().getEgressPolicy().getRules(0).getHost())
        .isEqualTo("api.example.com");
    assertThat(mesh.egress.deleted).containsExactly("es-1");
  }

  /** They read no PEM. */
  @Test
  void javaProgramsTrustTheSessionsRootAndThoseOfTheMachine() throws Exception {
    Path authority = TestCertificates.in(directory).authorityFile();
    mesh.egress.root = Files.readString(authority);
    int code =
        run(
            """
            store=${JAVA_TOOL_OPTIONS#*trustStore=}; cp "$(echo "${store%% -D*}" | tr -d '\"')" $1/store
            cp $SSL_CERT_FILE $1/pem
            [ "$(stat -c %a "$(dirname "$SSL_CERT_FILE")")" = 700 ]
            """);

    assertThat(code).as(err.toString(StandardCharsets.UTF_8)).isZero();
    KeyStore store = KeyStore.getInstance("JKS");
    try (InputStream in = Files.newInputStream(directory.resolve("store"))) {
      store.load(in, "changeit".toCharArray());
    }
    CertificateFactory factory = CertificateFactory.getInstance("X.509");
    try (InputStream root = Files.newInputStream(authority);
        InputStream pem = Files.newInputStream(directory.resolve("pem"))) {
      assertThat(store.getCertificateAlias(factory.generateCertificate(root))).isNotNull();
      assertThat(store.size()).isEqualTo(factory.generateCertificates(pem).size());
    }
  }

  @Test
  void theProxyIsTheOnlyWayOut() throws Exception {
    try (ServerSocket proxy = new ServerSocket(0, 5, InetAddress.getByName("127.0.0.1"));
        ServerSocket other = new ServerSocket(0, 5, InetAddress.getByName("127.0.0.1"))) {
      mesh.egress.proxy =
          EgressProxy.newBuilder().setAddress("127.0.0.1:" + proxy.getLocalPort()).build();
      CompletableFuture<String> asked = new CompletableFuture<>();
      Thread.ofVirtual()
          .start(() -> {
            try (Socket accepted = proxy.accept()) {
              byte[] all = accepted.getInputStream().readAllBytes();
              accepted.getOutputStream().write("pong\n".getBytes(StandardCharsets.US_ASCII));
              asked.complete(new String(all, StandardCharsets.US_ASCII));
            } catch (java.io.IOException e) {
              asked.completeExceptionally(e);
            }
          });
      String script =
          """
          python3 -c '
          import socket
          s = socket.create_connection(("127.0.0.1", 3128))
          s.sendall(b"ping"); s.shutdown(socket.SHUT_WR)
          print(s.recv(99).decode(), end="")
          ' > $1/answer
          (exec 3<>/dev/tcp/127.0.0.1/%d) && exit 11
          (exec 3<>/dev/tcp/192.0.2.1/80) && exit 12
          ip route > $1/routes; ls /sys/class/net > $1/links
          exit 0
          """
              .formatted(other.getLocalPort());
      assertThat(run(script)).isZero();
      assertThat(asked.get()).isEqualTo("ping");
      assertThat(file("answer")).isEqualTo("pong\n");
      assertThat(file("routes")).isEmpty();
    }
  }

  @Test
  void signalsReachTheCommand() throws Exception {
    Path ready = directory.resolve("ready");
    CompletableFuture<Integer> code =
        CompletableFuture.supplyAsync(() ->
            run(
                "trap 'echo told > $1/told; exit 9' TERM; touch $1/ready; while :; do read -t 1 <>"
                    + " <(:); done"));
    while (!Files.exists(ready) && !code.isDone()) {
      Thread.onSpinWait();
    }
    terminal.send(15);
    assertThat(code.get()).isEqualTo(9);
    assertThat(file("told")).isEqualTo("told\n");
    assertThat(mesh.egress.deleted).containsExactly("es-1");
  }

  @Test
  void aCommandThatIsNotThere() {
    int code =
        Main.commandLine(
                new Context(
                    () -> mesh, InputStream.nullInputStream(), System.out, System.err, terminal))
            .execute("egress", "run", "--", "/nowhere/command");
    assertThat(code).isEqualTo(127);
    assertThat(mesh.egress.deleted).containsExactly("es-1");
  }
}
