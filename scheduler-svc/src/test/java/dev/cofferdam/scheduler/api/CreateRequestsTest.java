package dev.cofferdam.scheduler.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.Duration;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.lifecycle.CreateSpec;
import dev.cofferdam.scheduler.sandbox.Samples;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.SecretUse;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.snapshot.SnapshotKind;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SecretReference;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class CreateRequestsTest {
  private static final CreateDefaults DEFAULTS =
      new CreateDefaults("debian", new SandboxSize(1, 512, 2048));

  private static CreateSpec check(Consumer<CreateSandboxRequest.Builder> edit) {
    CreateSandboxRequest.Builder request = CreateSandboxRequest.newBuilder();
    edit.accept(request);
    return CreateRequests.check(
        request.build(), DEFAULTS, Optional.empty(), Optional.empty(), Optional.empty());
  }

  private static void assertRefused(
      ErrorReason reason, String message, Consumer<CreateSandboxRequest.Builder> edit) {
    assertThatThrownBy(() -> check(edit))
        .isInstanceOfSatisfying(
            Refusal.class, refusal -> assertThat(refusal.reason()).isEqualTo(reason))
        .hasMessageContaining(message)
        // It travels in a header.
        .satisfies(refusal -> assertThat(refusal.getMessage()).hasSizeLessThan(400));
  }

  @Test
  void anEmptyRequestGetsTheDefaults() {
    CreateSpec spec = check(_ -> {});
    assertThat(spec.template()).isEqualTo("debian");
    assertThat(spec.size()).isEqualTo(DEFAULTS.size());
    assertThat(spec.request()).isEmpty();
    assertThat(spec.lifetime()).isEmpty();
  }

  @Test
  void sizesBelowTheLeastAndBeyondAnIntegerAreOutOfRange() {
    assertRefused(
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
        "memory_mib is 127",
        request -> request.getSizeBuilder().setMemoryMib(127));
    assertRefused(
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
        "disk_mib is 63",
        request -> request.getSizeBuilder().setDiskMib(63));
    assertRefused(
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
        "vcpus is 4294967295",
        request -> request.getSizeBuilder().setVcpus(-1));
  }

  @Test
  void variablesHaveNamesAndBounds() {
    ErrorReason reason = ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID;
    for (String name : new String[] {"", "1A", "A-B", "A=B", "Ä", "A".repeat(129), "A\nB"}) {
      assertRefused(reason, "variable is", request -> request.putEnv(name, "x"));
    }
    assertRefused(reason, "contains NUL", request -> request.putEnv("A", "x\0"));
    assertRefused(
        reason,
        "257 variables",
        request -> IntStream.rangeClosed(0, 256).forEach(i -> request.putEnv("V" + i, "")));
    // One byte over: the name counts.
    assertRefused(reason, "65537 bytes", request -> request.putEnv("A", "x".repeat(64 << 10)));
    assertRefused(reason, "bytes in all", request -> request.putEnv("A", "ä".repeat(32 << 10)));
    assertThat(check(request -> request.putEnv("A", "x".repeat((64 << 10) - 1))).env())
        .containsKey("A");
    assertThat(
            check(request -> IntStream.range(0, 256).forEach(i -> request.putEnv("V" + i, "")))
                .env())
        .hasSize(256);
  }

  @Test
  void aValueIsNeverRepeatedInARefusal() {
    assertThatThrownBy(() -> check(request -> request.putEnv("A", "hunter2\0")))
        .satisfies(refusal -> assertThat(refusal.getMessage()).doesNotContain("hunter2"));
    assertThat(check(request -> request.putEnv("A", "hunter2")).toString())
        .doesNotContain("hunter2");
  }

  @Test
  void secretsGetVariablesThatCollideWithNothing() {
    assertThat(check(request -> request.addSecrets(secret("api-key", ""))).secrets())
        .containsExactly(new SecretUse("api-key", "API_KEY"));
    ErrorReason env = ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID;
    assertRefused(
        env,
        "API_KEY of secret api-key is set twice",
        request -> request.putEnv("API_KEY", "x").addSecrets(secret("api-key", "")));
    assertRefused(
        env,
        "set twice",
        request -> request.addSecrets(secret("a", "T")).addSecrets(secret("b", "T")));
    assertRefused(env, "'0'", request -> request.addSecrets(secret("a", "0")));
    assertRefused(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
        "'A b'",
        request -> request.addSecrets(secret("A b", "")));
    assertRefused(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
        "65 secrets",
        request -> IntStream.range(0, 65).forEach(i -> request.addSecrets(secret("s" + i, ""))));
  }

  @Test
  void labelsRequestIdsAndLifetimesAreBounded() {
    ErrorReason reason = ErrorReason.ERROR_REASON_INVALID_ARGUMENT;
    assertRefused(reason, "'Team'", request -> request.putLabels("Team", "x"));
    assertRefused(reason, "label a", request -> request.putLabels("a", "x".repeat(256)));
    assertRefused(reason, "label a", request -> request.putLabels("a", "\0"));
    assertRefused(
        reason,
        "65 labels",
        request -> IntStream.range(0, 65).forEach(i -> request.putLabels("l" + i, "")));
    assertRefused(reason, "request_id", request -> request.setRequestId("x".repeat(65)));
    assertRefused(reason, "request_id", request -> request.setRequestId("a\nb"));
    for (Duration wrong :
        new Duration[] {
          Duration.getDefaultInstance(),
          Duration.newBuilder().setNanos(999_999_999).build(),
          Duration.newBuilder().setSeconds(-1).build(),
          Duration.newBuilder().setSeconds(1).setNanos(-1).build(),
          Duration.newBuilder().setSeconds(Long.MAX_VALUE).build()
        }) {
      assertRefused(reason, "lifetime is", request -> request.setLifetime(wrong));
      assertRefused(reason, "idle_timeout is", request -> request.setIdleTimeout(wrong));
    }
    assertThat(
            check(request -> request.setLifetime(Duration.newBuilder().setSeconds(1))).lifetime())
        .isEqualTo(Optional.of(java.time.Duration.ofSeconds(1)));
    assertRefused(reason, "timeout_action", request -> request.setTimeoutActionValue(77));
  }

  @Test
  void volumesAreMountedEachOnceAtPlainDirectories() {
    ErrorReason reason = ErrorReason.ERROR_REASON_INVALID_ARGUMENT;
    for (String directory :
        new String[] {
          "",
          "data",
          "/data/",
          "//data",
          "/a/../b",
          "/.",
          "/dev",
          "/proc/x",
          "/sys/x",
          "/a\nb",
          "/" + "x".repeat(1024)
        }) {
      assertRefused(
          reason, "expected an absolute", request -> request.putVolumes(directory, "data"));
    }
    assertRefused(
        reason,
        "mounted twice",
        request -> request.putVolumes("/a", "data").putVolumes("/b", "data"));
    assertRefused(
        reason,
        "9 volumes",
        request -> IntStream.range(0, 9).forEach(i -> request.putVolumes("/v" + i, "v" + i)));
    assertThat(check(request -> request.putVolumes("/srv/.data", "data")).volumes())
        .containsExactly(Map.entry("/srv/.data", "data"));
  }

  @Test
  void aTemplateThatCannotBeANameIsNotFoundAndAPolicyIsBounded() {
    assertRefused(
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
        "template is",
        request -> request.setTemplate("x".repeat(100_000)));
    assertRefused(
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
        "template is",
        request -> request.setTemplate("../etc"));
    assertRefused(
        ErrorReason.ERROR_REASON_POLICY_INVALID,
        "257 rules",
        request ->
            request.setEgressPolicy(
                EgressPolicy.newBuilder()
                    .addAllRules(Collections.nCopies(257, EgressRule.getDefaultInstance()))));
  }

  @Test
  void theFingerprintIsOfTheContentInAnyOrder() {
    var one = check(request -> request.setRequestId("a").putEnv("A", "1").putEnv("B", "2"));
    var same = check(request -> request.setRequestId("b").putEnv("B", "2").putEnv("A", "1"));
    var other = check(request -> request.setRequestId("a").putEnv("A", "1").putEnv("B", "3"));
    assertThat(one.request().orElseThrow().fingerprint())
        .isEqualTo(same.request().orElseThrow().fingerprint())
        .isNotEqualTo(other.request().orElseThrow().fingerprint());
  }

  private static SecretReference secret(String name, String env) {
    return SecretReference.newBuilder().setSecret(name).setEnv(env).build();
  }

  @Test
  void aSnapshotSaysTemplateAndSize() {
    Snapshot snapshot =
        Snapshot.begun(
            "sn-aaaaaaaaaaaaaaaaaaaa",
            Samples.starting(1, "acme", "n1"),
            SnapshotKind.FULL,
            Map.of(),
            true,
            Samples.PROCESS,
            Samples.NOW);
    CreateSandboxRequest plain = CreateSandboxRequest.getDefaultInstance();
    CreateSpec spec =
        CreateRequests.check(
            plain, DEFAULTS, Optional.empty(), Optional.empty(), Optional.of(snapshot));
    assertThat(spec.size()).isEqualTo(snapshot.size());
    assertThat(spec.template()).isEqualTo(snapshot.template());
    assertThat(spec.snapshot()).contains(snapshot);
    assertRefusedFrom(
        snapshot,
        plain.toBuilder().putVolumes("/data", "data").build(),
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefusedFrom(
        snapshot,
        plain.toBuilder().setTemplate("debian").build(),
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefusedFrom(
        snapshot,
        plain.toBuilder()
            .setSize(
                dev.cofferdam.v1.SandboxSize.newBuilder()
                    .setMemoryMib(snapshot.size().memoryMib() + 1))
            .build(),
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE);
  }

  private static void assertRefusedFrom(
      Snapshot snapshot, CreateSandboxRequest request, ErrorReason reason) {
    assertThatThrownBy(() ->
            CreateRequests.check(
                request, DEFAULTS, Optional.empty(), Optional.empty(), Optional.of(snapshot)))
        .isInstanceOfSatisfying(Refusal.class, e -> assertThat(e.reason()).isEqualTo(reason));
  }
}
