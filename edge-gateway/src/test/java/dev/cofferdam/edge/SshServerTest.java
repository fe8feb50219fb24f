package dev.cofferdam.edge;

import static dev.cofferdam.edge.Eventually.eventually;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxState;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.channel.AbstractClientChannel;
import org.apache.sshd.client.channel.ChannelExec;
import org.apache.sshd.client.channel.ChannelShell;
import org.apache.sshd.client.channel.ClientChannelEvent;
import org.apache.sshd.client.keyverifier.AcceptAllServerKeyVerifier;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.kex.KexProposalOption;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.net.SshdSocketAddress;
import org.apache.sshd.common.util.security.SecurityUtils;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** SSH by another's client, before a mesh that is made up. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class SshServerTest {
  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final String ID = "sb-abcdefghij234567abcd";

  private final Path directory;
  private final FakeMesh mesh;
  private final EdgeApp app;
  private final SshClient client = SshClient.setUpDefaultClient();
  private final KeyPair pair = pair("Ed25519");

  SshServerTest(@TempDir Path directory) throws IOException {
    this.directory = directory;
    mesh = new FakeMesh();
    app = start(Map.of());
    mesh.sandboxes.put(
        ID, Sandbox.newBuilder().setId(ID).setState(SandboxState.SANDBOX_STATE_RUNNING).build());
    client.setServerKeyVerifier(AcceptAllServerKeyVerifier.INSTANCE);
    client.start();
  }

  private EdgeApp start(Map<String, String> more) throws IOException {
    Map<String, String> settings = new java.util.HashMap<>(more);
    settings.put("ssh.listen", "127.0.0.1:0");
    settings.put("ssh.host-key", directory.resolve("key").toString());
    return TestEdge.start(mesh, settings);
  }

  @BeforeEach
  void one() {
    byte[] encoded = pair.getPublic().getEncoded();
    mesh.sshKey = ByteString.copyFrom(encoded, encoded.length - 32, 32);
    mesh.started.clear();
    mesh.signals.clear();
  }

  @AfterAll
  void close() {
    client.stop();
    app.close();
    mesh.close();
  }

  private static KeyPair pair(String algorithm) {
    try {
      return SecurityUtils.getKeyPairGenerator(algorithm).generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private ClientSession session(EdgeApp at, String user, KeyPair with) throws IOException {
    ClientSession session =
        client.connect(user, "127.0.0.1", at.sshPort().orElseThrow()).verify(PATIENCE).getSession();
    session.addPublicKeyIdentity(with);
    session.auth().verify(PATIENCE);
    return session;
  }

  private record Ended(int status, ByteString out, String err) {
    String text() {
      return out.toStringUtf8();
    }
  }

  private static Ended exec(ClientSession session, String command, byte[] input)
      throws IOException {
    try (ChannelExec channel = session.createExecChannel(command)) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      ByteArrayOutputStream err = new ByteArrayOutputStream();
      channel.setIn(new ByteArrayInputStream(input));
      channel.setOut(out);
      channel.setErr(err);
      channel.open().verify(PATIENCE);
      Set<ClientChannelEvent> events =
          channel.waitFor(EnumSet.of(ClientChannelEvent.CLOSED), PATIENCE);
      assertThat(events).contains(ClientChannelEvent.CLOSED);
      return new Ended(
          channel.getExitStatus(),
          ByteString.copyFrom(out.toByteArray()),
          err.toString(StandardCharsets.UTF_8));
    }
  }

  @Test
  void aCommandRunsInTheSandboxWithItsStreamsAndItsStatus() throws Exception {
    byte[] input = new byte[3 << 20];
    new Random(1).nextBytes(input);
    int closed = mesh.sshClosed.get();
    try (ClientSession session = session(app, ID, pair)) {
      Ended whole = exec(session, "cat -", input);
      assertThat(whole.out()).isEqualTo(ByteString.copyFrom(input));
      assertThat(whole.status()).isZero();
      assertThat(exec(session, "false", new byte[0]).status()).isEqualTo(1);
      Ended none = exec(session, "nothing", new byte[0]);
      assertThat(none.status()).isNotZero();
      assertThat(none.err()).contains("not in PATH");
      assertThat(exec(session, "quick", new byte[0]).text()).isEqualTo("abcd");
    }
    assertThat(mesh.sshSessions.getLast().getSandbox()).isEqualTo(ID);
    assertThat(mesh.sshSessions.getLast().getSessionId().size()).isBetween(20, 64);
    assertThat(mesh.sshSessions.getLast().getSignature().size()).isEqualTo(64);
    assertThat(mesh.tokens).anyMatch(seen -> seen.matches(".*ProcessService Bearer cfs_\\d+"));
    eventually(() -> mesh.sshClosed.get() > closed, "the session is given up");
  }

  @Test
  void aShellHasItsTerminalAndNothingOfTheClientsEnvironmentButItsLanguage() throws Exception {
    try (ClientSession session = session(app, ID, pair);
        ChannelShell shell = session.createShellChannel()) {
      shell.setPtyType("xterm-256color");
      shell.setPtyColumns(101);
      shell.setPtyLines(33);
      shell.setEnv("LC_ALL", "C.UTF-8");
      shell.setEnv("AWS_SECRET_ACCESS_KEY", "of the client");
      shell.setEnv("LD_PRELOAD", "/x");
      shell.open().verify(PATIENCE);
      eventually(() -> mesh.started.size() == 1, "the shell");
      ProcessSpec spec = mesh.started.getFirst();
      assertThat(spec.getTerminal().getColumns()).isEqualTo(101);
      assertThat(spec.getTerminal().getRows()).isEqualTo(33);
      assertThat(spec.getEnvMap())
          .containsOnly(Map.entry("TERM", "xterm-256color"), Map.entry("LC_ALL", "C.UTF-8"));
      assertThat(spec.getArgvList()).last().asString().contains("/bin/bash -l");
      shell.sendWindowChange(90, 20);
      Buffer signal = session.createBuffer(SshConstants.SSH_MSG_CHANNEL_REQUEST);
      signal.putUInt(((AbstractClientChannel) shell).getRecipient());
      signal.putString("signal");
      signal.putBoolean(false);
      signal.putString("INT");
      var _ = session.writePacket(signal);
      eventually(() -> mesh.signals.stream().anyMatch(sent -> sent.getSignal() == 2), "the signal");
    }
    eventually(
        () -> mesh.signals.stream().anyMatch(sent -> sent.getSignal() == 1),
        "what a client leaves is hung up");
  }

  @Test
  void aStrangerIsToldNothingAndStartsNothing() {
    AtomicReference<String> first = new AtomicReference<>("");
    for (Map.Entry<String, KeyPair> who :
        List.of(
            Map.entry(ID, pair("Ed25519")),
            Map.entry("sb-" + "z".repeat(20), pair),
            Map.entry("root", pair),
            Map.entry(ID, pair("RSA")))) {
      assertThatThrownBy(() -> session(app, who.getKey(), who.getValue()).close())
          .as(who.getKey())
          .isInstanceOf(IOException.class)
          .satisfies(thrown -> {
            String said = String.valueOf(thrown.getMessage());
            first.compareAndSet("", said);
            assertThat(said).isEqualTo(first.get());
          });
    }
    assertThat(mesh.started).isEmpty();
    // A password is never asked for.
    assertThatThrownBy(
            () -> {
              try (ClientSession session =
                  client
                      .connect(ID, "127.0.0.1", app.sshPort().orElseThrow())
                      .verify(PATIENCE)
                      .getSession()) {
                session.addPasswordIdentity("password");
                session.auth().verify(PATIENCE);
              }
            })
        .isInstanceOf(IOException.class);
  }

  @Test
  void portsOfTheSandboxAreReachedAndNothingElse() throws Exception {
    try (ServerSocket port = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        ClientSession session = session(app, ID, pair)) {
      int connections = mesh.ports.opened.size();
      SshdSocketAddress local =
          session.startLocalPortForwarding(
              new SshdSocketAddress("127.0.0.1", 0),
              new SshdSocketAddress("localhost", port.getLocalPort()));
      byte[] data = new byte[1 << 20];
      new Random(2).nextBytes(data);
      try (Socket near = new Socket("127.0.0.1", local.getPort());
          Socket far = port.accept()) {
        Thread.ofVirtual()
            .start(() -> {
              try {
                near.getOutputStream().write(data);
              } catch (IOException e) {
                throw new IllegalStateException(e);
              }
            });
        assertThat(far.getInputStream().readNBytes(data.length)).isEqualTo(data);
        byte[] answer = "answer".getBytes(StandardCharsets.US_ASCII);
        far.getOutputStream().write(answer);
        assertThat(near.getInputStream().readNBytes(answer.length)).isEqualTo(answer);
        near.shutdownOutput();
        assertThat(far.getInputStream().read()).as("the client's end is the port's").isEqualTo(-1);
      }
      assertThat(mesh.ports.opened.getLast().getSandbox()).isEqualTo(ID);
      assertThat(mesh.ports.opened).hasSize(connections + 1);
      for (String host : List.of("169.254.169.254", "10.0.0.1", "example.test", "")) {
        SshdSocketAddress elsewhere =
            session.startLocalPortForwarding(
                new SshdSocketAddress("127.0.0.1", 0),
                new SshdSocketAddress(host, port.getLocalPort()));
        try (Socket near = new Socket("127.0.0.1", elsewhere.getPort())) {
          // Its client breaks off what came in, or ends it.
          assertThat(near.getInputStream().read()).as(host).isEqualTo(-1);
        } catch (SocketException e) {
          assertThat(e).hasMessageContaining("reset");
        }
      }
      assertThat(mesh.ports.opened).as("of those").hasSize(connections + 1);
      assertThatThrownBy(() ->
              session.startRemotePortForwarding(
                  new SshdSocketAddress("127.0.0.1", 0), new SshdSocketAddress("127.0.0.1", 1)))
          .isInstanceOf(IOException.class);
    }
  }

  @Test
  void onlyAlgorithmsThatAreGoodAreOffered() throws Exception {
    try (ClientSession session = session(app, ID, pair)) {
      Map<KexProposalOption, String> offered = session.getServerKexProposals();
      assertThat(offered.get(KexProposalOption.ALGORITHMS))
          .contains("curve25519-sha256", "kex-strict-s-v00@openssh.com")
          .doesNotContain("diffie-hellman", "ecdh-sha2");
      assertThat(offered.get(KexProposalOption.SERVERKEYS)).isEqualTo("ssh-ed25519");
      assertThat(offered.get(KexProposalOption.S2CENC)).doesNotContain("cbc", "ctr", "3des");
      assertThat(offered.get(KexProposalOption.S2CCOMP)).isEqualTo("none");
    }
  }

  @Test
  void aGuestIsReadAsFastAsItsClientReads() throws Exception {
    try (ClientSession session = session(app, ID, pair);
        ChannelExec channel = session.createExecChannel("flood")) {
      AtomicReference<Thread> stuck = new AtomicReference<>();
      channel.setOut(
          new java.io.OutputStream() {
            @Override
            public void write(int one) {
              throw new IllegalStateException();
            }

            @Override
            public void write(byte[] bytes, int from, int length) throws IOException {
              stuck.set(Thread.currentThread());
              try {
                new java.util.concurrent.CountDownLatch(1).await();
              } catch (InterruptedException e) {
                throw new IOException(e);
              }
            }
          });
      channel.open().verify(PATIENCE);
      eventually(() -> stuck.get() != null, "the client's thread that stands still");
      // Another connection is not held up.
      try (ClientSession other = session(app, ID, pair)) {
        assertThat(exec(other, "quick", new byte[0]).text()).isEqualTo("abcd");
      }
      stuck.get().interrupt();
    }
  }

  @Test
  void theHostKeyIsMadeOnceAndIsTheEdgesAlone() throws Exception {
    Path key = directory.resolve("key");
    byte[] before = Files.readAllBytes(key);
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(key)))
        .isEqualTo("rw-------");
    try (EdgeApp again = start(Map.of("ssh.public-host", "ssh.test", "ssh.public-port", "22"));
        Sdk sdk = new Sdk(again.port());
        ClientSession session = session(again, ID, pair)) {
      assertThat(exec(session, "quick", new byte[0]).text()).isEqualTo("abcd");
      assertThat(Files.readAllBytes(key)).isEqualTo(before);
      String path =
          "/api/v3/sandbox/"
              + dev.cofferdam.edge.sandbox.SandboxIds.foreign("ord", ID)
              + "/expose/ssh";
      assertThat(sdk.send("POST", path, Sdk.BOTH, "{}").body())
          .isEqualTo("{\"hostname\":\"ssh.test\",\"username\":\"%s\",\"port\":22}".formatted(ID));
      assertThat(sdk.send("POST", path, "ddo_" + FakeMesh.STRANGER, "{}").statusCode())
          .isEqualTo(404);
      var _ = sdk.create(Sdk.BOTH, "{\"ssh\":true}");
    }
  }

  @Test
  void connectionsAreBoundedAndWhoSaysNothingIsCutOff() throws Exception {
    try (EdgeApp small = start(Map.of("ssh.connections", "2", "ssh.auth-timeout", "1s"));
        ClientSession held = session(small, ID, pair)) {
      try (Socket silent = new Socket("127.0.0.1", small.sshPort().orElseThrow());
          Socket more = new Socket("127.0.0.1", small.sshPort().orElseThrow())) {
        more.setSoTimeout(Math.toIntExact(PATIENCE.toMillis()));
        silent.setSoTimeout(Math.toIntExact(PATIENCE.toMillis()));
        assertThat(new String(more.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
            .doesNotContain("curve25519");
        assertThat(silent.getInputStream().readAllBytes()).as("ends").isNotNull();
      }
      assertThat(exec(held, "quick", new byte[0]).text()).isEqualTo("abcd");
    }
  }

  @Test
  void withoutAHostKeyItIsNotServed() throws Exception {
    try (EdgeApp plain = TestEdge.start(mesh, Map.of());
        Sdk sdk = new Sdk(plain.port())) {
      assertThat(plain.sshPort()).isEmpty();
      String path =
          "/api/v3/sandbox/"
              + dev.cofferdam.edge.sandbox.SandboxIds.foreign("ord", ID)
              + "/expose/ssh";
      assertThat(sdk.send("POST", path, Sdk.BOTH, "{}").body()).contains("NOT_SERVED");
      assertThatThrownBy(() -> sdk.create(Sdk.BOTH, "{\"ssh\":true}")).isNotNull();
    }
  }
}
