package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.CreatePortKeyRequest;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** {@code port share|ls|unshare}. */
final class PortCommandsTest {
  private static final String SANDBOX = "sb-aaaaaaaaaaaaaaaaaaaa";

  private final FakeMesh mesh = new FakeMesh();
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @AfterEach
  void end() {
    mesh.shutDown();
  }

  private int type(String... words) {
    out.reset();
    err.reset();
    Context context =
        new Context(
            () -> mesh,
            InputStream.nullInputStream(),
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            new FakeTerminal());
    return Main.commandLine(context).execute(words);
  }

  private String said() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private int share(String domain, String... more) {
    String[] words = {"port", "share", "--domain", domain, SANDBOX, "8080"};
    String[] all = java.util.Arrays.copyOf(words, words.length + more.length);
    System.arraycopy(more, 0, all, words.length, more.length);
    return type(all);
  }

  @Test
  void aPortIsSharedListedAndTakenBack() {
    assertThat(share("localhost:7482", "--for", "2h")).isZero();
    assertThat(said())
        .isEqualTo(
            "http://8080-"
                + SANDBOX
                + ".localhost:7482/?cofferdam_key="
                + FakePortKeys.SECRET
                + System.lineSeparator());
    assertThat(mesh.portKeys.asked.getFirst())
        .isEqualTo(
            CreatePortKeyRequest.newBuilder()
                .setSandbox(SANDBOX)
                .setPort(8080)
                .setLifetime(com.google.protobuf.Duration.newBuilder().setSeconds(7200))
                .build());
    assertThat(share("ports.example.com", "--public")).isZero();
    assertThat(said().strip()).isEqualTo("https://8080-" + SANDBOX + ".ports.example.com/");

    assertThat(type("port", "ls", SANDBOX)).isZero();
    assertThat(said())
        .contains("pk-1", "link", "pk-2", "everybody", "8080", FakePortKeys.HOST)
        .contains(SandboxCommands.time(Timestamp.newBuilder().setSeconds(7200).build()))
        .doesNotContain(FakePortKeys.SECRET);
    assertThat(type("port", "unshare", "pk-1", "pk-2")).isZero();
    assertThat(type("port", "ls", SANDBOX)).isZero();
    assertThat(said()).doesNotContain("pk-");
  }

  @Test
  void aLinkIsOfSomeDomain() {
    assertThat(share("")).isEqualTo(Main.FAILED);
    assertThat(err.toString(StandardCharsets.UTF_8)).contains("COFFERDAM_PORTS_DOMAIN");
    assertThat(mesh.portKeys.asked).isEmpty();
  }
}
