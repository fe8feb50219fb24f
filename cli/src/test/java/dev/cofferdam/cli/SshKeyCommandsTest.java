package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.CreateSshKeyRequest;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code ssh-key add|ls|rm}. */
final class SshKeyCommandsTest {
  private static final String BASE64 =
      "AAAAC3NzaC1lZDI1NTE5AAAAINaB374WWVYZDkVsYPY5Hd7PH6OOLLaX81Q9aAJjDkw7";
  private static final String KEY = "ssh-ed25519 " + BASE64;

  /** What no message and no request may hold. */
  private static final String PRIVATE = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB";

  @TempDir private Path directory;
  private final FakeMesh mesh = new FakeMesh();
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private String stdin = "";

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
            new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8)),
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            new FakeTerminal());
    return Main.commandLine(context).execute(words);
  }

  private String said() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private String error() {
    return err.toString(StandardCharsets.UTF_8).strip();
  }

  private int add(String content) throws Exception {
    return type("ssh-key", "add", "me", Files.writeString(file(), content).toString());
  }

  private Path file() {
    return directory.resolve("id_ed25519");
  }

  @Test
  void aKeyIsAddedListedAndRemoved() throws Exception {
    assertThat(add(KEY + " somebody@somewhere\n")).isZero();
    assertThat(said()).isEqualTo(FakeSshKeys.FINGERPRINT + System.lineSeparator());
    assertThat(mesh.sshKeys.asked)
        .containsExactly(CreateSshKeyRequest.newBuilder().setName("me").setPublicKey(KEY).build());
    stdin = "\n" + KEY + "\r\n";
    assertThat(type("ssh-key", "add", "build", "-")).isZero();
    assertThat(mesh.sshKeys.asked.getLast())
        .isEqualTo(CreateSshKeyRequest.newBuilder().setName("build").setPublicKey(KEY).build());

    mesh.sshKeys.keys.computeIfPresent(
        "me",
        (_, key) ->
            key.toBuilder().setLastUseTime(Timestamp.newBuilder().setSeconds(7200)).build());
    assertThat(type("ssh-key", "ls")).isZero();
    assertThat(said().lines())
        .satisfiesExactly(
            line -> assertThat(line).matches("NAME +FINGERPRINT +TOKEN +CREATED +LAST USE"),
            line ->
                assertThat(line.split(" +"))
                    .containsExactly(
                        "build",
                        FakeSshKeys.FINGERPRINT,
                        FakeSshKeys.TOKEN,
                        "1970-01-01T00:00:00Z"),
            line ->
                assertThat(line.split(" +"))
                    .startsWith("me", FakeSshKeys.FINGERPRINT)
                    .endsWith("1970-01-01T02:00:00Z"));

    assertThat(type("ssh-key", "rm", "me", "build")).isZero();
    assertThat(mesh.sshKeys.keys).isEmpty();
  }

  @Test
  void aKeyWhoseAnswerWasLostIsAskedForAgain() throws Exception {
    mesh.sshKeys.answersLost.set(1);
    assertThat(add(KEY)).isZero();
    assertThat(mesh.sshKeys.asked).hasSize(2);
    assertThat(said().strip()).isEqualTo(FakeSshKeys.FINGERPRINT);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "-----BEGIN OPENSSH PRIVATE KEY-----\n" + PRIVATE + "\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\n" + PRIVATE + "\n-----END RSA PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + PRIVATE,
        "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n" + PRIVATE + "\n",
        KEY + "\n-----BEGIN OPENSSH PRIVATE KEY-----\n" + PRIVATE + "\n",
        KEY + " -----BEGIN OPENSSH PRIVATE KEY----- " + PRIVATE
      })
  void aPrivateKeyIsNeverSent(String content) throws Exception {
    assertThat(add(content)).isEqualTo(Main.FAILED);
    assertThat(error())
        .isEqualTo(
            "cofferdam: "
                + file()
                + " is a private key, which goes to nobody and was not sent; expected its .pub"
                + " file");
    assertThat(mesh.sshKeys.asked).isEmpty();
    stdin = content;
    assertThat(type("ssh-key", "add", "me", "-")).isEqualTo(Main.FAILED);
    assertThat(error()).contains("standard input is a private key").doesNotContain(PRIVATE);
    assertThat(mesh.sshKeys.asked).isEmpty();
  }

  /** Whatever the file is, what is in it is neither sent nor shown. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "''| has 0 lines, expected one",
        "KEY\\nKEY| has 2 lines, expected one",
        "KEY\\nPRIVATE| has 2 lines, expected one",
        "PRIVATE| holds no public key, expected one line",
        "restrict KEY| holds no public key, expected one line",
        "ssh-ed25519-cert-v01@openssh.com PRIVATE| holds no public key, expected one line",
        "ssh-rsa PRIVATE x| is of the kind ssh-rsa, expected ssh-ed25519",
        "ecdsa-sha2-nistp256 PRIVATE| is of the kind ecdsa-sha2-nistp256, expected ssh-ed25519",
        "sk-ssh-ed25519@openssh.com PRIVATE| is of the kind sk-ssh-ed25519@openssh.com, expected",
        "ssh-ed25519| is not whole",
        "ssh-ed25519 PRIVATE| is not whole",
        "KEYPRIVATE| is not whole"
      })
  void whatIsNoPublicKeyIsNeverSent(String content, String message) throws Exception {
    assertThat(add(content.replace("KEY", KEY).replace("PRIVATE", PRIVATE).replace("\\n", "\n")))
        .isEqualTo(Main.FAILED);
    assertThat(error())
        .hasLineCount(1)
        .contains(file().toString(), message)
        .doesNotContain(PRIVATE, BASE64);
    assertThat(mesh.sshKeys.asked).isEmpty();
  }

  @Test
  void whatCannotBeReadIsOneLine() throws Exception {
    assertThat(type("ssh-key", "add", "me", file().toString())).isEqualTo(Main.FAILED);
    assertThat(error()).hasLineCount(1).contains(file() + " cannot be read");
    assertThat(type("ssh-key", "add", "me", directory.toString())).isEqualTo(Main.FAILED);
    assertThat(error()).hasLineCount(1).contains(directory + " cannot be read");
    assertThat(add("#\n".repeat(65_536))).isEqualTo(Main.FAILED);
    assertThat(error()).contains("has more than 65536 bytes");
    assertThat(mesh.sshKeys.asked).isEmpty();
  }
}
