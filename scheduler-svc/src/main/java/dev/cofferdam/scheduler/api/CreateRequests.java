package dev.cofferdam.scheduler.api;

import com.google.protobuf.Duration;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.lifecycle.CreateSpec;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.SecretUse;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.sandbox.TimeoutAction;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SecretReference;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Creates as they come in, checked for everything that needs neither nodes nor the broker. Pure.
 * Limits are those of sandbox.proto.
 */
final class CreateRequests {
  private static final int MAX_ENV = 256;
  private static final int MAX_ENV_BYTES = 64 << 10;
  private static final int MAX_SECRETS = 64;
  private static final int MAX_RULES = 256;
  private static final int MAX_LABELS = 64;
  private static final int MAX_LABEL_VALUE = 255;

  /** As google.protobuf.Duration has it. */
  private static final long MAX_SECONDS = 315_576_000_000L;

  private static final int MAX_NANOS = 999_999_999;
  private static final Pattern LABEL = Pattern.compile("[a-z0-9._/-]{1,63}");
  private static final Pattern TEMPLATE = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}");

  private CreateRequests() {}

  /**
   * @param otherwise what a create gets that says nothing
   * @param own the tenant's template that the request means; empty: the operator's
   * @param disk the volume that its own disk is, or begins as a copy of
   * @param snapshot that the request names
   * @throws Refusal with the reason of the first thing that is wrong
   */
  static CreateSpec check(
      CreateSandboxRequest request,
      CreateDefaults otherwise,
      Optional<Template> own,
      Optional<Volume> disk,
      Optional<Snapshot> snapshot) {
    Optional<RequestKey> key = key(request);
    CreateDefaults defaults =
        snapshot.map(from -> new CreateDefaults(from.template(), from.size())).orElse(otherwise);
    String base = disk.flatMap(Volume::base).map(Volume.Base::template).orElse(defaults.template());
    if (snapshot.isPresent() && !request.getTemplate().isEmpty()) {
      throw invalid("template and snapshot are both set, expected one of them");
    }
    String template = request.getTemplate().isEmpty() ? base : request.getTemplate();
    if (!TEMPLATE.matcher(template).matches()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
          "template is " + Texts.quoted(template) + ", expected " + TEMPLATE);
    }
    SandboxSize usual = own.map(Template::size).orElse(defaults.size());
    SandboxSize size =
        size(request.getSize(), disk.map(volume -> DiskRequests.size(usual, volume)).orElse(usual));
    disk.ifPresent(volume -> DiskRequests.check(request, volume, template, size));
    if (snapshot.isPresent() && !size.equals(snapshot.get().size())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "size differs from the snapshot's, expected the same or none");
    }
    if (snapshot.isPresent() && request.getVolumesCount() > 0) {
      throw invalid("snapshot and volumes are both set, expected one of them");
    }
    VolumeRequests.checkMounts(request.getVolumesMap());
    checkEnv(request.getEnvMap());
    List<SecretUse> secrets = secrets(request);
    labels(request.getLabelsMap());
    return new CreateSpec(
        key,
        template,
        own.map(Template::id).orElse(template),
        size,
        request.getEnvMap(),
        secrets,
        policy(request.getEgressPolicy()),
        lifetime(request.hasLifetime(), request.getLifetime()),
        timeoutAction(request.getTimeoutAction()),
        duration("idle_timeout", request.hasIdleTimeout(), request.getIdleTimeout()),
        snapshot,
        request.getVolumesMap(),
        DiskRequests.source(request),
        request.getLabelsMap());
  }

  static Optional<RequestKey> key(CreateSandboxRequest request) {
    return RequestKeys.key(request.getRequestId(), request.toBuilder().clearRequestId().build());
  }

  /** At least 1 s; empty when absent. */
  static Optional<java.time.Duration> lifetime(boolean present, Duration lifetime) {
    return duration("lifetime", present, lifetime);
  }

  static TimeoutAction timeoutAction(dev.cofferdam.v1.TimeoutAction action) {
    return switch (action) {
      case TIMEOUT_ACTION_UNSPECIFIED, TIMEOUT_ACTION_DELETE -> TimeoutAction.DELETE;
      case TIMEOUT_ACTION_SUSPEND -> TimeoutAction.SUSPEND;
      case TIMEOUT_ACTION_NONE -> TimeoutAction.NONE;
      case UNRECOGNIZED -> throw invalid("timeout_action is not one of this service");
    };
  }

  private static Optional<java.time.Duration> duration(
      String name, boolean present, Duration value) {
    if (!present) {
      return Optional.empty();
    }
    if (value.getSeconds() < 1
        || value.getSeconds() > MAX_SECONDS
        || value.getNanos() < 0
        || value.getNanos() > MAX_NANOS) {
      throw invalid(
          "%s is %d s %d ns, expected a valid duration of at least 1 s"
              .formatted(name, value.getSeconds(), value.getNanos()));
    }
    return Optional.of(java.time.Duration.ofSeconds(value.getSeconds(), value.getNanos()));
  }

  /** Labels of a sandbox and of a filter alike. */
  static Map<String, String> labels(Map<String, String> labels) {
    if (labels.size() > MAX_LABELS) {
      throw invalid("%d labels, expected at most %d".formatted(labels.size(), MAX_LABELS));
    }
    labels.forEach((key, value) -> {
      if (!LABEL.matcher(key).matches()) {
        throw invalid("label key is " + Texts.quoted(key) + ", expected " + LABEL);
      }
      if (value.codePointCount(0, value.length()) > MAX_LABEL_VALUE || value.indexOf('\0') >= 0) {
        throw invalid(
            "label %s is %s, expected at most %d characters without NUL"
                .formatted(key, Texts.quoted(value), MAX_LABEL_VALUE));
      }
    });
    return labels;
  }

  /** What is in the rules is the broker's to judge. */
  static EgressPolicy policy(EgressPolicy policy) {
    if (policy.getRulesCount() > MAX_RULES) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_POLICY_INVALID,
          "%d rules, expected at most %d".formatted(policy.getRulesCount(), MAX_RULES));
    }
    return policy;
  }

  static SandboxSize size(dev.cofferdam.v1.SandboxSize wanted, SandboxSize defaults) {
    return new SandboxSize(
        part("vcpus", wanted.getVcpus(), defaults.vcpus(), SandboxSize.MIN_VCPUS),
        part("memory_mib", wanted.getMemoryMib(), defaults.memoryMib(), SandboxSize.MIN_MEMORY_MIB),
        part("disk_mib", wanted.getDiskMib(), defaults.diskMib(), SandboxSize.MIN_DISK_MIB));
  }

  /** An unsigned field: what Java reads as negative is beyond any node. */
  private static int part(String name, int wanted, int fallback, int min) {
    if (wanted == 0) {
      return fallback;
    }
    if (wanted < min) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "%s is %s, expected %d to the node's limit"
              .formatted(name, Integer.toUnsignedString(wanted), min));
    }
    return wanted;
  }

  private static void checkEnv(Map<String, String> env) {
    if (env.size() > MAX_ENV) {
      throw badEnv("%d variables, expected at most %d".formatted(env.size(), MAX_ENV));
    }
    long bytes = 0;
    for (Map.Entry<String, String> entry : env.entrySet()) {
      if (!SecretUse.isEnv(entry.getKey())) {
        throw badEnv(
            "variable is "
                + Texts.quoted(entry.getKey())
                + ", expected [A-Za-z_][A-Za-z0-9_]{0,127}");
      }
      if (entry.getValue().indexOf('\0') >= 0) {
        // The value itself is not repeated: it may be one that should not be in a log.
        throw badEnv("the value of " + entry.getKey() + " contains NUL");
      }
      bytes += bytes(entry.getKey()) + bytes(entry.getValue());
    }
    if (bytes > MAX_ENV_BYTES) {
      throw badEnv("%d bytes in all, expected at most %d".formatted(bytes, MAX_ENV_BYTES));
    }
  }

  private static long bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  private static List<SecretUse> secrets(CreateSandboxRequest request) {
    if (request.getSecretsCount() > MAX_SECRETS) {
      throw invalid(
          "%d secrets, expected at most %d".formatted(request.getSecretsCount(), MAX_SECRETS));
    }
    List<SecretUse> uses = new ArrayList<>();
    Set<String> taken = new HashSet<>(request.getEnvMap().keySet());
    for (SecretReference reference : request.getSecretsList()) {
      String secret = reference.getSecret();
      if (!SecretUse.isName(secret)) {
        throw invalid("secret is " + Texts.quoted(secret) + ", expected [a-z][a-z0-9-]{0,62}");
      }
      String env = reference.getEnv().isEmpty() ? SecretUse.defaultEnv(secret) : reference.getEnv();
      if (!SecretUse.isEnv(env)) {
        throw badEnv(
            "variable of secret %s is %s, expected [A-Za-z_][A-Za-z0-9_]{0,127}"
                .formatted(secret, Texts.quoted(env)));
      }
      if (!taken.add(env)) {
        throw badEnv("variable %s of secret %s is set twice".formatted(env, secret));
      }
      uses.add(new SecretUse(secret, env));
    }
    return uses;
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }

  private static Refusal badEnv(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID, message);
  }
}
