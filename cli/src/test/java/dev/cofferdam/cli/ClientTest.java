package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.AnswerApprovalRequest;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.ClientAuthentication;
import dev.cofferdam.v1.ClientCredentials;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.CreateTemplateRequest;
import dev.cofferdam.v1.DebianSource;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ForkMode;
import dev.cofferdam.v1.HmacEncoding;
import dev.cofferdam.v1.HmacHash;
import dev.cofferdam.v1.HmacSignature;
import dev.cofferdam.v1.HmacTimestamp;
import dev.cofferdam.v1.Node;
import dev.cofferdam.v1.PlaceholderAlphabet;
import dev.cofferdam.v1.PlaceholderShape;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.TerminalSize;
import dev.cofferdam.v1.TimeoutAction;
import dev.cofferdam.v1.UseLimits;
import dev.cofferdam.v1.Verdict;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The whole client, as typed, against a mesh in this process. */
@Timeout(20)
final class ClientTest {
  private static final String FIRST = "sb-aaaaaaaaaaaaaaaaaaaa";

  @TempDir private Path directory = Path.of("unset");

  private final FakeMesh mesh = new FakeMesh();
  private final FakeTerminal terminal = new FakeTerminal();
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private String stdin = "";

  @AfterEach
  void shutDown() {
    mesh.shutDown();
  }

  @Test
  void runMakesASandboxRunsTheCommandAndRemovesTheSandbox() {
    int code =
        type(
            "run",
            "--allow-net",
            "api.example.com",
            "--allow-net",
            "*.example.org:8443",
            "--allow-net",
            "203.0.113.0/24:22",
            "--secret",
            "api-key",
            "--secret",
            "db=DB_PASS",
            "--env",
            "A=b=c",
            "--lifetime",
            "10m",
            "--",
            "say",
            "hello");

    assertThat(code).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("hello");
    CreateSandboxRequest request = the(mesh.sandboxes, FIRST);
    assertThat(request.getEgressPolicy().getRulesList())
        .containsExactly(
            EgressRule.newBuilder().setHost("api.example.com").build(),
            EgressRule.newBuilder().setHost("*.example.org").addPorts(8443).build(),
            EgressRule.newBuilder().setCidr("203.0.113.0/24").addPorts(22).build());
    assertThat(request.getSecretsList())
        .containsExactly(
            SecretReference.newBuilder().setSecret("api-key").build(),
            SecretReference.newBuilder().setSecret("db").setEnv("DB_PASS").build());
    assertThat(request.getEnvMap()).containsExactly(Map.entry("A", "b=c"));
    assertThat(request.getLifetime().getSeconds()).isEqualTo(600);
    assertThat(request.getRequestId()).isNotEmpty();
    assertThat(mesh.deleted).containsExactly(FIRST);
  }

  @Test
  void thePolicyOfAFileIsReplacedAndShown() throws Exception {
    Path file = Files.writeString(directory.resolve("p.yaml"), "rules: [{host: a.example.com}]");
    assertThat(
            type(
                "run",
                "--keep",
                "--policy",
                file.toString(),
                "--allow-net",
                "b.example.com",
                "--",
                "exit",
                "0"))
        .isZero();
    assertThat(the(mesh.sandboxes, FIRST).getEgressPolicy().getRulesList())
        .extracting(EgressRule::getHost)
        .containsExactly("a.example.com", "b.example.com");

    Files.writeString(file, "rules: [{host: a.example.com, http: {methods: [GET]}}]");
    assertThat(type("sandbox", "policy", FIRST, "--policy", file.toString())).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).endsWith("revision 2\n");
    assertThat(the(mesh.sandboxes, FIRST).getEgressPolicy().getRules(0).getHttp().getMethodsList())
        .containsExactly("GET");

    assertThat(type("sandbox", "policy", FIRST)).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8))
        .contains("\"host\": \"a.example.com\"", "\"methods\": [\"GET\"]");
  }

  @Test
  void learnsProposesAndAcceptsUnlessThePolicyHasChanged() {
    mesh.proposal = ProposalTest.PROPOSAL;
    assertThat(type("run", "--learn", "--keep", "--", "exit", "0")).isZero();
    assertThat(the(mesh.sandboxes, FIRST).getEgressPolicy().getMode())
        .isEqualTo(PolicyMode.POLICY_MODE_LEARN);

    assertThat(type("sandbox", "proposal", FIRST)).isZero();
    assertThat(PolicyFile.parse(out.toString(StandardCharsets.UTF_8), "out"))
        .isEqualTo(ProposalTest.PROPOSAL.getPolicy());
    assertThat(mesh.etag).isEmpty();

    assertThat(type("sandbox", "proposal", FIRST, "--accept")).isZero();
    assertThat(mesh.etag).isEqualTo("etag-of-" + FIRST);
    assertThat(the(mesh.sandboxes, FIRST).getEgressPolicy())
        .isEqualTo(ProposalTest.PROPOSAL.getPolicy());

    mesh.etag = "";
    mesh.proposal = ProposalTest.PROPOSAL.toBuilder().setPolicyRevision(7).build();
    assertThat(type("sandbox", "proposal", FIRST, "--accept")).isEqualTo(1);
    assertThat(mesh.etag).isEmpty();
  }

  @Test
  void approvalsAreShownAndAnswered() {
    assertThat(type("approvals")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8))
        .contains("ap-1 sb-1 waiting DELETE https://api.example.com:443")
        .contains("body=17", "secrets=api-key")
        .doesNotContain("\u001b");
    assertThat(type("approvals", "--follow")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).contains("ap-1 sb-1 lapsed");
    assertThat(type("approve", "ap-1")).isZero();
    assertThat(type("approve", "ap-1", "--for", "10m")).isZero();
    assertThat(type("deny", "ap-1")).isZero();
    assertThat(mesh.answers)
        .containsExactly(
            AnswerApprovalRequest.newBuilder().setApproval("ap-1").setApprove(true).build(),
            AnswerApprovalRequest.newBuilder()
                .setApproval("ap-1")
                .setApprove(true)
                .setRemember(com.google.protobuf.Duration.newBuilder().setSeconds(600))
                .build(),
            AnswerApprovalRequest.newBuilder().setApproval("ap-1").build());
  }

  @Test
  void aPolicyThatIsNoneMakesNoSandbox() throws Exception {
    Path file = Files.writeString(directory.resolve("p.yaml"), "rules: [{hots: a}]");

    assertThat(type("run", "--policy", file.toString(), "--", "exit", "0")).isEqualTo(1);
    assertThat(errorLine()).contains("p.yaml: rule 1: Cannot find field: hots");
    assertThat(type("run", "--policy", directory.resolve("none.yaml").toString(), "--", "x"))
        .isEqualTo(1);
    assertThat(mesh.sandboxes).isEmpty();
  }

  @Test
  void runKeepsTheSandboxWhenAsked() {
    assertThat(type("run", "--keep", "--", "exit", "0")).isZero();
    assertThat(mesh.deleted).isEmpty();
    assertThat(err.toString(StandardCharsets.UTF_8).strip()).isEqualTo(FIRST);
  }

  @Test
  void runSaysHowItsSandboxWasStartedWhenAsked() {
    assertThat(type("run", "--verbose", "--", "exit", "0")).isZero();
    assertThat(err.toString(StandardCharsets.UTF_8).strip()).isEqualTo(FIRST + ": booted 312 ms");
  }

  @Test
  void theCommandsCodeIsTheClients() {
    assertThat(type("run", "--", "exit", "42")).isEqualTo(42);
    assertThat(type("run", "--", "die", "9")).isEqualTo(137);
    assertThat(mesh.deleted).hasSize(2);
  }

  @Test
  void aSandboxWhoseAnswerWasLostIsTheOneThatIsUsed() {
    mesh.answersLost.set(1);
    assertThat(type("run", "--", "exit", "0")).isZero();
    assertThat(mesh.sandboxes).containsOnlyKeys(FIRST);
    assertThat(mesh.deleted).containsExactly(FIRST);
  }

  @Test
  void theSandboxIsRemovedOnceTheMeshIsBack() {
    mesh.deletesRefused.set(2);
    assertThat(type("run", "--", "exit", "3")).isEqualTo(3);
    assertThat(mesh.deleted).containsExactly(FIRST);
    mesh.deletesRefused.set(2);
    assertThat(type("run", "--", "unknown")).isEqualTo(1);
    assertThat(mesh.deleted).hasSize(2);
    assertThat(errorLine()).isEqualTo("cofferdam: NOT_FOUND: unknown");
  }

  @Test
  void stdinGoesInAndComesOut() {
    stdin = "x".repeat(100_000) + "\nend";
    assertThat(type("sandbox", "exec", FIRST, "--", "cat")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo(stdin);
  }

  @Test
  void aBrokenStreamGoesOnWhereItBroke() {
    mesh.processes.breaks.set(3);
    assertThat(type("sandbox", "exec", FIRST, "--", "say", "0123456789abcdef")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("0123456789abcdef");
    assertThat(mesh.processes.attachedAt).containsExactly(4L, 8L, 12L);
    assertThat(mesh.processes.specs).hasSize(1);
  }

  @Test
  void aStreamOfAServerThatWasEndedHardGoesOnToo() {
    mesh.processes.breaks.set(1);
    mesh.processes.breakWith = Status.CANCELLED;
    assertThat(type("sandbox", "exec", FIRST, "--", "say", "0123456789abcdef")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("0123456789abcdef");
  }

  @Test
  void whatIsReplayedIsNotPrintedTwice() {
    mesh.processes.breaks.set(2);
    mesh.processes.replayed = 3;
    mesh.processes.breakAfter = 7;
    assertThat(type("sandbox", "exec", FIRST, "--", "say", "0123456789abcdefghij")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("0123456789abcdefghij");
  }

  @Test
  void signalsGoToTheProcess() throws Exception {
    CompletableFuture<Integer> code =
        CompletableFuture.supplyAsync(() -> type("sandbox", "exec", FIRST, "--", "wait"));
    var _ = mesh.processes.specs.take();
    // Whether or not the client has seen the start by now.
    terminal.send(15);
    assertThat(code.get()).isEqualTo(128 + 15);
  }

  @Test
  void aTerminalIsRawWhileTheCommandRunsAndTellsItsSize() {
    terminal.interactive = true;
    assertThat(type("sandbox", "exec", "-t", FIRST, "--", "exit", "0")).isZero();
    assertThat(terminal.rawEver).isEqualTo(1);
    assertThat(terminal.rawNow).isZero();
    assertThat(mesh.processes.specs.remove().getTerminal())
        .isEqualTo(TerminalSize.newBuilder().setRows(50).setColumns(120).build());
  }

  @Test
  void aTerminalWithoutAPersonIsRefused() {
    assertThat(type("sandbox", "exec", "-t", FIRST, "--", "exit", "0")).isEqualTo(1);
    assertThat(errorLine()).isEqualTo("cofferdam: -t needs a terminal on stdin and stdout");
    assertThat(mesh.processes.specs).isEmpty();
  }

  @Test
  void aRefusalIsOneLineWithItsReason() {
    assertThat(type("sandbox", "create", "--template", "unknown")).isEqualTo(1);
    assertThat(errorLine())
        .isEqualTo("cofferdam: TEMPLATE_NOT_FOUND: no template 'unknown' at all");
    assertThat(out.size()).isZero();
  }

  @Test
  void listsEveryPage() {
    assertThat(type("sandbox", "create")).isZero();
    assertThat(type("sandbox", "create")).isZero();
    out.reset();
    assertThat(type("sandbox", "ls")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8).lines().skip(1))
        .hasSize(2)
        .allMatch(line -> line.startsWith("sb-aaaa") && line.contains("emulated"));
  }

  @Test
  void aSandboxIsMadeFromASnapshotAndSleeps() {
    assertThat(
            type(
                "sandbox",
                "create",
                "--snapshot",
                "sn-x",
                "--timeout-action",
                "suspend",
                "--lifetime",
                "1h",
                "--idle-timeout",
                "5m"))
        .isZero();
    CreateSandboxRequest request = the(mesh.sandboxes, FIRST);
    assertThat(request.getSnapshot()).isEqualTo("sn-x");
    assertThat(request.getTemplate()).isEmpty();
    assertThat(request.getTimeoutAction()).isEqualTo(TimeoutAction.TIMEOUT_ACTION_SUSPEND);
    assertThat(request.getIdleTimeout().getSeconds()).isEqualTo(300);
    for (String step : List.of("pause", "resume", "suspend")) {
      assertThat(type("sandbox", step, FIRST)).isZero();
    }
    assertThat(type("sandbox", "rollback", FIRST, "sn-y")).isZero();
    assertThat(mesh.changes)
        .containsExactly(
            "pause " + FIRST, "resume " + FIRST, "suspend " + FIRST, "roll back to sn-y " + FIRST);
    assertThat(type("sandbox", "pause", "sb-none")).isEqualTo(Main.FAILED);
    assertThat(err.toString(StandardCharsets.UTF_8).strip().lines()).hasSize(1);
    assertThat(err.toString(StandardCharsets.UTF_8)).contains("SANDBOX_NOT_FOUND");
    assertThat(type("sandbox", "create", "--timeout-action", "sleep")).isEqualTo(Main.FAILED);
    assertThat(err.toString(StandardCharsets.UTF_8)).contains("'sleep', expected delete");
    out.reset();
    assertThat(type("sandbox", "ls")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).contains("suspended").contains("pooled 21 ms");
  }

  @Test
  void copiesWhoseAnswerWasLostAreAskedForAgainAndNotMadeTwice() {
    mesh.answersLost.set(1);
    assertThat(type("sandbox", "fork", FIRST, "-n", "2", "--label", "a=b", "--lifetime", "1m"))
        .isZero();
    assertThat(out.toString(StandardCharsets.UTF_8).lines()).containsExactly("known-0", "known-1");
    assertThat(mesh.forks).hasSize(2);
    assertThat(mesh.forks.getFirst()).isEqualTo(mesh.forks.getLast());
    assertThat(mesh.forks.getFirst().getLabelsMap()).containsExactly(Map.entry("a", "b"));
    assertThat(mesh.forks.getFirst().getLifetime().getSeconds()).isEqualTo(60);
  }

  @Test
  void templatesAreMadeListedAndRemoved() {
    assertThat(
            type("template", "create", "mine", "--image", "registry.example/app:1", "--disk", "99"))
        .isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("sha256:abc\n");
    assertThat(ordered("mine").getSource().getRegistry()).isEqualTo("registry.example/app:1");
    assertThat(ordered("mine").getDefaultSize().getDiskMib()).isEqualTo(99);

    assertThat(type("template", "create", "other", "--file", "a.tar", "--kernel", "k", "--no-wait"))
        .isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).endsWith("making\n");
    assertThat(ordered("other").getSource().getKernel()).isEqualTo("k");
    assertThat(type("template", "ls")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8))
        .contains("TEMPLATE", "registry.example/app:1", "a.tar");
    assertThat(type("template", "rm", "mine", "other")).isZero();
    assertThat(mesh.templates).isEmpty();

    assertThat(type("template", "create", "bad", "--file", "bad.tar")).isEqualTo(1);
    assertThat(err.toString(StandardCharsets.UTF_8)).contains("bad: no image");
    assertThat(type("template", "create", "bad", "--file", "a", "--image", "b")).isNotZero();
    assertThat(type("template", "create", "bad")).isNotZero();
  }

  @Test
  void aDebianIsBuiltWithWhatItSays() {
    assertThat(
            type(
                "template",
                "create",
                "mine",
                "--debian",
                "--package",
                "hello",
                "--package",
                "jq=1.6-2",
                "--step",
                "echo a, b > /etc/motd",
                "--step",
                "true",
                "--source",
                "deb http://deb.example bookworm main",
                "--allow-net",
                "deb.example:80"))
        .isZero();
    DebianSource source = ordered("mine").getSource().getDebian();
    assertThat(source.getPackagesList()).containsExactly("hello", "jq=1.6-2");
    assertThat(source.getStepsList()).containsExactly("echo a, b > /etc/motd", "true");
    assertThat(source.getSourcesList()).containsExactly("deb http://deb.example bookworm main");
    assertThat(source.getEgressPolicy().getRules(0).getHost()).isEqualTo("deb.example");
    assertThat(source.getEgressPolicy().getRules(0).getPortsList()).containsExactly(80);
    assertThat(ordered("mine").getRequestId()).isNotEmpty();

    assertThat(type("template", "create", "bare", "--debian")).isZero();
    assertThat(ordered("bare").getSource().hasDebian()).isTrue();
    assertThat(type("template", "create", "bad", "--file", "a", "--step", "true")).isNotZero();
    assertThat(err.toString(StandardCharsets.UTF_8)).contains("--debian");
    assertThat(type("template", "create", "bad", "--debian", "--file", "a")).isNotZero();
  }

  private CreateTemplateRequest ordered(String template) {
    return Objects.requireNonNull(mesh.templates.get(template));
  }

  @Test
  void snapshotsAreTakenListedAndRemoved() {
    assertThat(type("snapshot", "create", FIRST, "--label", "a=b")).isZero();
    assertThat(type("snapshot", "create", FIRST, "--disk-only")).isZero();
    List<String> ids = out.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(ids).hasSize(2);
    out.reset();
    assertThat(type("snapshot", "ls")).isZero();
    List<String> lines = out.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(lines).hasSize(3);
    assertThat(lines.get(1)).startsWith(ids.getFirst()).contains(FIRST, "ready", "full", "a=b");
    assertThat(lines.get(2)).startsWith(ids.getLast()).contains("disk");
    assertThat(type("snapshot", "rm", ids.getFirst(), ids.getLast())).isZero();
    assertThat(mesh.snapshots).isEmpty();
  }

  @Test
  void volumesAreMadeListedRemovedAndMounted() {
    mesh.answersLost.set(1);
    assertThat(type("volume", "create", "data", "--size", "64")).isZero();
    assertThat(type("volume", "create", "copy", "--from", "data")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8).lines()).containsExactly("data", "copy");
    assertThat(the(mesh.volumes, "data").getSizeMib()).isEqualTo(64);
    assertThat(the(mesh.volumes, "copy").getSource()).isEqualTo("data");
    out.reset();
    assertThat(type("volume", "ls")).isZero();
    List<String> lines = out.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(lines).hasSize(3);
    assertThat(lines.get(1)).startsWith("data").contains("64", "sb-has-it", "n1");
    assertThat(lines.get(2)).startsWith("copy").contains("data");
    assertThat(type("volume", "create", "disk", "--template", "debian")).isZero();
    assertThat(the(mesh.volumes, "disk").getTemplate()).isEqualTo("debian");
    assertThat(type("volume", "rm", "data", "copy", "disk")).isZero();
    assertThat(mesh.volumes).isEmpty();

    assertThat(type("sandbox", "create", "--volume", "data:/srv/a:b", "--volume", "x:/x")).isZero();
    assertThat(the(mesh.sandboxes, FIRST).getVolumesMap())
        .containsOnly(Map.entry("/srv/a:b", "data"), Map.entry("/x", "x"));
    for (List<String> wrong :
        List.of(List.of("data"), List.of(":/x"), List.of("a:/x", "--volume", "b:/x"))) {
      List<String> words = new ArrayList<>(List.of("sandbox", "create", "--volume"));
      words.addAll(wrong);
      assertThat(type(words.toArray(String[]::new))).isEqualTo(Main.FAILED);
    }
    assertThat(err.toString(StandardCharsets.UTF_8))
        .contains("'data', expected NAME:DIRECTORY", "two at '/x'");
    assertThat(mesh.sandboxes).hasSize(1);
    assertThat(type("sandbox", "create", "--disk-from", "disk")).isZero();
    assertThat(mesh.sandboxes.values().stream().map(CreateSandboxRequest::getDiskSource))
        .contains("disk");
  }

  @Test
  void aFileGoesInWithItsModeAndComesBack() throws Exception {
    Path file = Files.writeString(directory.resolve("in"), "content\n".repeat(20_000));
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-x---"));
    assertThat(type("sandbox", "cp", file.toString(), FIRST + ":/tmp/x")).isZero();
    assertThat(mesh.files.modes).containsEntry(FIRST + ":/tmp/x", 0750);

    Path back = directory.resolve("back");
    assertThat(type("sandbox", "cp", FIRST + ":/tmp/x", back.toString())).isZero();
    assertThat(back).hasSameBinaryContentAs(file);
    assertThat(Files.getPosixFilePermissions(back))
        .isEqualTo(PosixFilePermissions.fromString("rwxr-x---"));
    assertThat(type("sandbox", "cp", FIRST + ":/tmp/x", directory.toString())).isZero();
    assertThat(directory.resolve("x")).hasSameBinaryContentAs(file);
  }

  @Test
  void aGuestLetsNobodyWriteOnThisMachine() throws Exception {
    mesh.files.contents.put(FIRST + ":/tmp/x", ByteString.copyFromUtf8("content"));
    mesh.files.modes.put(FIRST + ":/tmp/x", 04777);
    Path back = directory.resolve("back");
    assertThat(type("sandbox", "cp", FIRST + ":/tmp/x", back.toString())).isZero();
    assertThat((int) Files.getAttribute(back, "unix:mode") & 07777).isEqualTo(0755);
  }

  @Test
  void aCopyThatFailsLeavesWhatWasThere() throws Exception {
    Path kept = Files.writeString(directory.resolve("kept"), "old");
    assertThat(type("sandbox", "cp", FIRST + ":/nothing", kept.toString())).isEqualTo(1);
    assertThat(errorLine()).isEqualTo("cofferdam: FILE_NOT_FOUND: no /nothing");
    assertThat(kept).hasContent("old");
    try (var left = Files.list(directory)) {
      assertThat(left).containsExactly(kept);
    }
  }

  @Test
  void aCopyNeedsOneEndInASandbox() {
    assertThat(type("sandbox", "cp", "a", "b")).isEqualTo(1);
    assertThat(type("sandbox", "cp", FIRST + ":/a", FIRST + ":/b")).isEqualTo(1);
    assertThat(mesh.files.contents).isEmpty();
  }

  @Test
  void aSecretsValueComesFromStdin() {
    stdin = "sk-0123456789abcdef\n";
    int code =
        type(
            "secret",
            "put",
            "api-key",
            "--host",
            "api.example.com",
            "--host",
            "b.example.com",
            "--target",
            "header:x-key",
            "--target",
            "json:/auth/Key",
            "--require");
    assertThat(code).isZero();
    PutSecretRequest request = the(mesh.secrets, "api-key");
    assertThat(request.getValue()).isEqualTo(ByteString.copyFromUtf8("sk-0123456789abcdef"));
    assertThat(request.getBindings(0).getHostsList())
        .containsExactly("api.example.com", "b.example.com");
    assertThat(request.getBindings(0).getTargetsList())
        .containsExactly("header:x-key", "json:/auth/Key");
    assertThat(request.getBindings(0).getRequire()).isTrue();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo("api-key version 1\n");
  }

  @Test
  void aSecretIsPutWithLimits() {
    stdin = "0123456789abcdef";
    assertThat(
            type(
                "secret",
                "put",
                "a",
                "--host",
                "h.example.com",
                "--max-uses",
                "10",
                "--rate",
                "60/1m",
                "--expires",
                "2h"))
        .isZero();
    UseLimits limits = the(mesh.secrets, "a").getLimits();
    assertThat(limits.getUses()).isEqualTo(10);
    assertThat(limits.getRate().getCount()).isEqualTo(60);
    assertThat(limits.getRate().getPer().getSeconds()).isEqualTo(60);
    assertThat(limits.getExpireTime().getSeconds()).isPositive();

    assertThat(type("secret", "put", "b", "--host", "h.example.com", "--rate", "often"))
        .isEqualTo(1);
    assertThat(errorLine()).contains("--rate 'often', expected as 60/1m");
  }

  @Test
  void aSecretIsPutThatSigns() {
    stdin = "0123456789abcdef";
    assertThat(
            type(
                "secret",
                "put",
                "hook",
                "--host",
                "h.example.com",
                "--hmac-header",
                "X-Signature",
                "--hmac-message",
                "{timestamp}\\n{body}",
                "--hmac-value",
                "v1={signature}",
                "--hmac-hash",
                "sha512",
                "--hmac-encoding",
                "base64",
                "--hmac-key",
                "hex",
                "--hmac-timestamp",
                "unix_ms",
                "--hmac-timestamp-header",
                "X-Time"))
        .isZero();
    assertThat(the(mesh.secrets, "hook").getBindings(0).getHmac())
        .isEqualTo(
            HmacSignature.newBuilder()
                .setHeader("X-Signature")
                .setMessage("{timestamp}\n{body}")
                .setValue("v1={signature}")
                .setHash(HmacHash.HMAC_HASH_SHA512)
                .setEncoding(HmacEncoding.HMAC_ENCODING_BASE64)
                .setKey(HmacEncoding.HMAC_ENCODING_HEX)
                .setTimestamp(HmacTimestamp.HMAC_TIMESTAMP_UNIX_MILLIS)
                .setTimestampHeader("X-Time")
                .build());
    assertThat(
            type(
                "secret",
                "put",
                "exchange",
                "--host",
                "h.example.com",
                "--hmac-query",
                "signature",
                "--hmac-message",
                "{query}"))
        .isZero();
    assertThat(the(mesh.secrets, "exchange").getBindings(0).getHmac().getQuery())
        .isEqualTo("signature");
    assertThat(type("secret", "put", "b", "--host", "h.example.com", "--hmac-message", "{body}"))
        .isEqualTo(1);
    assertThat(errorLine()).contains("--hmac-... without --hmac-header or --hmac-query");
  }

  @Test
  void aSecretIsPutThatFetchesAccessTokens() {
    stdin = "0123456789abcdef";
    assertThat(
            type(
                "secret",
                "put",
                "client",
                "--host",
                "h.example.com",
                "--oauth-token-url",
                "https://login.example.com/token",
                "--oauth-client-id",
                "me",
                "--oauth-scope",
                "read write",
                "--oauth-audience",
                "a",
                "--oauth-resource",
                "urn:r",
                "--oauth-auth",
                "post"))
        .isZero();
    assertThat(the(mesh.secrets, "client").getOauth())
        .isEqualTo(
            ClientCredentials.newBuilder()
                .setTokenUrl("https://login.example.com/token")
                .setClientId("me")
                .setScope("read write")
                .setAudience("a")
                .setResource("urn:r")
                .setAuthentication(ClientAuthentication.CLIENT_AUTHENTICATION_POST)
                .build());
    assertThat(type("secret", "put", "b", "--host", "h.example.com")).isZero();
    assertThat(the(mesh.secrets, "b").hasOauth()).isFalse();
    assertThat(type("secret", "put", "c", "--host", "h.example.com", "--oauth-scope", "read"))
        .isEqualTo(1);
    assertThat(errorLine()).contains("--oauth-... without --oauth-token-url");
    assertThat(type("secret", "ls")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8))
        .containsPattern("client .* h.example.com .* https://login.example.com/token\n")
        .containsPattern("b .* h.example.com +-\n");
  }

  @Test
  void aSecretIsPutWhosePlaceholdersLookLikeIt() {
    stdin = "0123456789abcdef";
    assertThat(
            type(
                "secret",
                "put",
                "a",
                "--host",
                "h.example.com",
                "--placeholder-prefix",
                "sk-",
                "--placeholder-length",
                "51",
                "--placeholder-alphabet",
                "hex"))
        .isZero();
    assertThat(the(mesh.secrets, "a").getShape())
        .isEqualTo(
            PlaceholderShape.newBuilder()
                .setPrefix("sk-")
                .setLength(51)
                .setAlphabet(PlaceholderAlphabet.PLACEHOLDER_ALPHABET_HEX)
                .build());
    assertThat(type("secret", "put", "b", "--host", "h.example.com")).isZero();
    assertThat(the(mesh.secrets, "b").hasShape()).isFalse();
  }

  @Test
  void aSecretsValueComesFromAFileOrAHiddenLine() throws Exception {
    Path file = Files.writeString(directory.resolve("value"), "of-a-file-1234567\n\n");
    assertThat(
            type("secret", "put", "a", "--host", "h.example.com", "--from-file", file.toString()))
        .isZero();
    terminal.interactive = true;
    terminal.typed = "typed-äöü-123456";
    assertThat(type("secret", "put", "b", "--host", "h.example.com")).isZero();

    assertThat(the(mesh.secrets, "a").getValue())
        .as("one newline is the file's, a second would be the value's")
        .isEqualTo(ByteString.copyFromUtf8("of-a-file-1234567\n"));
    assertThat(the(mesh.secrets, "b").getValue().toStringUtf8()).isEqualTo("typed-äöü-123456");
  }

  @Test
  void copiesInheritASecretsPlaceholderOnlyWhereItWasSaid() {
    stdin = "sk-0123456789abcdef";
    assertThat(type("secret", "put", "a", "--host", "h.example.com")).isZero();
    assertThat(
            type(
                "secret",
                "put",
                "b",
                "--host",
                "h.example.com",
                "--fork",
                "inherit",
                "--target",
                "aws4:*/s3",
                "--max-uses",
                "3",
                "--rate",
                "60/1m"))
        .isZero();
    assertThat(type("secret", "put", "c", "--host", "h.example.com", "--fork", "always"))
        .isEqualTo(2);
    assertThat(the(mesh.secrets, "a").getForkMode()).isEqualTo(ForkMode.FORK_MODE_DROP);
    assertThat(the(mesh.secrets, "b").getForkMode()).isEqualTo(ForkMode.FORK_MODE_INHERIT);
    assertThat(mesh.secrets).containsOnlyKeys("a", "b");
    assertThat(type("secret", "ls")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8))
        .containsPattern("a .* drop +h.example.com")
        .containsPattern("b .* inherit +h.example.com +aws4:\\*/s3 +3, 60/60s");
  }

  @Test
  void noOptionTakesAValueFromTheCommandLine() {
    assertThat(type("secret", "put", "a", "--host", "h.example.com", "the-value-0123456789"))
        .isEqualTo(2);
    assertThat(type("secret", "put", "a", "--host", "h.example.com", "--value", "x")).isEqualTo(2);
    assertThat(mesh.secrets).isEmpty();
  }

  @Test
  void aTokenIsRegisteredByItsHashAtBoth() throws Exception {
    assertThat(type("token", "create", "--scope", "exec,files", "--tenant", "blue")).isZero();
    String text = out.toString(StandardCharsets.UTF_8).strip();
    assertThat(text).matches("cfd_tk-[a-z2-7]{16}_[a-z2-7]{52}");
    RegisterTokenRequest request = the(mesh.brokerTokens.known, text.split("_", -1)[1]);
    assertThat(request.getTenant()).isEqualTo("blue");
    assertThat(request.getScopesList()).containsExactly("exec", "files");
    assertThat(request.getSha256().toByteArray())
        .isEqualTo(
            MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    assertThat(mesh.schedulerTokens.known).isEqualTo(mesh.brokerTokens.known);
  }

  @Test
  void aTokenThatWritesSecretsIsTheBrokersAlone() {
    assertThat(type("token", "create", "--scope", "secrets:write,secrets:read")).isZero();
    assertThat(mesh.brokerTokens.known).hasSize(1);
    assertThat(mesh.schedulerTokens.known).isEmpty();

    assertThat(type("token", "create", "--scope", "secrets:write,exec")).isEqualTo(1);
    assertThat(errorLine()).contains("known to the broker alone").contains("exec");
    assertThat(mesh.brokerTokens.known).hasSize(1);
  }

  @Test
  void halfATokenIsTakenBack() {
    mesh.schedulerTokens.refusing = true;
    assertThat(type("token", "create", "--scope", "exec")).isEqualTo(1);
    assertThat(errorLine()).isEqualTo("cofferdam: DATABASE_UNAVAILABLE: no database");
    assertThat(mesh.brokerTokens.known).isEmpty();
    assertThat(out.size()).isZero();
  }

  @Test
  void tokensAreListedWithTheirPlacesAndRemovedFromBoth() {
    assertThat(type("token", "create", "--scope", "exec")).isZero();
    String id = out.toString(StandardCharsets.UTF_8).split("_", -1)[1];
    out.reset();
    assertThat(type("token", "ls")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).contains(id).contains("broker,scheduler");
    assertThat(type("token", "rm", id)).isZero();
    assertThat(mesh.brokerTokens.known).isEmpty();
    assertThat(mesh.schedulerTokens.known).isEmpty();
  }

  @Test
  void nodesAreListedWithWhatTheyHaveLeft() {
    mesh.nodes.put(
        "n1",
        Node.newBuilder()
            .setName("n1")
            .setConnected(true)
            .setIsolation("emulated")
            .setHypervisor("qemu")
            .setSlots(32)
            .setFreeSlots(30)
            .setFreeMemoryMib(3072)
            .setFreeDiskMib(61_440)
            .setSandboxes(2)
            .build());
    mesh.nodes.put(
        "n2",
        Node.newBuilder()
            .setName("n2")
            .setDraining(true)
            .setPressure("7 file descriptors are left, expected at least 256")
            .build());
    assertThat(type("node", "ls")).isZero();
    List<String> lines = out.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(lines.get(0)).matches("NODE +STATE +ISOLATION +HYPERVISOR +SANDBOXES +FREE SLOTS.*");
    assertThat(lines.get(1)).matches("n1 +ready +emulated +qemu +2 +30/32 +3072 MiB +61440 MiB");
    assertThat(lines.get(2)).matches("n2 +away,draining,full .*7 file descriptors are left.*");
  }

  @Test
  void nodesAreDrainedByTheirNames() {
    for (String name : List.of("n1", "n2", "n3")) {
      mesh.nodes.put(name, Node.newBuilder().setName(name).setConnected(true).build());
    }
    assertThat(type("node", "drain", "n1", "n3")).isZero();
    assertThat(drained()).containsExactly("n1", "n3");
    assertThat(type("node", "undrain", "n1")).isZero();
    assertThat(drained()).containsExactly("n3");
    assertThat(out.size()).isZero();
    assertThat(type("node", "drain", "n4")).isEqualTo(1);
    assertThat(errorLine()).isEqualTo("cofferdam: INVALID_ARGUMENT: no node n4");
    assertThat(type("node", "drain")).isEqualTo(2);
  }

  private List<String> drained() {
    return mesh.nodes.values().stream().filter(Node::getDraining).map(Node::getName).toList();
  }

  @Test
  void eventsOfBothServicesComeInTheOrderOfTheirTimes() {
    mesh.lives.add(life(10, SandboxEventType.SANDBOX_EVENT_TYPE_RUNNING));
    mesh.lives.add(life(30, SandboxEventType.SANDBOX_EVENT_TYPE_ENDED));
    mesh.audit.add(
        AuditEvent.newBuilder()
            .setTime(Timestamp.newBuilder().setSeconds(20))
            .setSandbox(FIRST)
            .setType(AuditEventType.AUDIT_EVENT_TYPE_DECISION)
            .setVerdict(Verdict.VERDICT_DENIED)
            .setReason(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED)
            .setProtocol("https")
            .setHost("evil.example.com")
            .setPort(443)
            .setPath("/a b\u001b[2J")
            .setCount(3)
            .build());
    mesh.audit.add(AuditEvent.newBuilder().setTime(Timestamp.newBuilder().setSeconds(40)).build());
    assertThat(type("events")).isZero();
    List<String> lines = out.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(lines).hasSize(4);
    assertThat(lines.get(0)).isEqualTo("1970-01-01T00:00:10Z " + FIRST + " running");
    assertThat(lines.get(1))
        .isEqualTo(
            "1970-01-01T00:00:20Z "
                + FIRST
                + " decision denied host_not_allowed protocol=https host=evil.example.com:443"
                + " path=\"/a b\\u001b[2J\" count=3");
    assertThat(lines.get(2)).endsWith(" ended");
    out.reset();
    assertThat(type("events", "--denied")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8).lines().toList()).containsExactly(lines.get(1));
  }

  @Test
  void ofTwoWatchesTheOneThatFailsEndsBoth() {
    // The register of audit events knows no watch.
    assertThat(type("events", "--follow")).isEqualTo(1);
    assertThat(errorLine()).startsWith("cofferdam: UNIMPLEMENTED: ");
  }

  private static SandboxEvent life(long second, SandboxEventType type) {
    return SandboxEvent.newBuilder()
        .setTime(Timestamp.newBuilder().setSeconds(second))
        .setSandbox(FIRST)
        .setType(type)
        .build();
  }

  private static <T> T the(Map<String, T> map, String key) {
    T value = map.get(key);
    if (value == null) {
      throw new AssertionError(key + " is not among " + map.keySet());
    }
    return value;
  }

  private String errorLine() {
    List<String> lines = err.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(lines).hasSize(1);
    return lines.getFirst();
  }

  private int type(String... words) {
    Context context =
        new Context(
            () -> mesh,
            new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8)),
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            terminal);
    return Main.commandLine(context).execute(words);
  }
}
