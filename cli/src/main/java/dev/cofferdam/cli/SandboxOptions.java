package dev.cofferdam.cli;

import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SecretReference;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Pattern;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What {@code run} and {@code sandbox create} have in common. */
final class SandboxOptions {
  private static final Pattern CIDR = Pattern.compile("\\d+\\.\\d+\\.\\d+\\.\\d+/\\d+");

  @Mixin private PolicyOptions policy = new PolicyOptions();

  @Option(
      names = "--secret",
      paramLabel = "NAME[=ENV]",
      description = "A secret to use; ENV holds its placeholder. Default: the name in upper case.")
  private List<String> secrets = new ArrayList<>();

  @Option(names = "--env", paramLabel = "KEY=VALUE", description = "A variable; repeatable.")
  private Map<String, String> environment = new HashMap<>();

  @Option(names = "--label", paramLabel = "KEY=VALUE", description = "A label; repeatable.")
  private Map<String, String> labels = new HashMap<>();

  @Option(names = "--template", paramLabel = "NAME", description = "Default: debian.")
  private String template = "";

  @Option(names = "--cpus", paramLabel = "N", description = "Default: the template's.")
  private int cpus;

  @Option(names = "--memory", paramLabel = "MIB", description = "Default: the template's.")
  private int memory;

  @Option(names = "--disk", paramLabel = "MIB", description = "Default: the template's.")
  private int disk;

  @Mixin private LifetimeOptions end = new LifetimeOptions();

  @Option(
      names = "--idle-timeout",
      paramLabel = "TIME",
      description = "Suspend it after so long with nothing to do; a call wakes it. Default: never.")
  private String idleTimeout = "";

  @Option(
      names = "--snapshot",
      paramLabel = "SNAPSHOT",
      description = "Make it from this snapshot instead of a template.")
  private String snapshot = "";

  @Option(
      names = "--volume",
      paramLabel = "NAME:DIRECTORY",
      description =
          "A volume, mounted there; repeatable. At / it is the sandbox's own disk, where it was"
              + " made for a template. No other sandbox has it meanwhile.")
  private List<String> volumes = new ArrayList<>();

  @Option(
      names = "--disk-from",
      paramLabel = "VOLUME",
      description = "Begin with a copy of this volume, which was made for a template.")
  private String diskSource = "";

  CreateSandboxRequest request() {
    CreateSandboxRequest.Builder request =
        CreateSandboxRequest.newBuilder()
            .setRequestId(UUID.randomUUID().toString())
            .setTemplate(template)
            .setSnapshot(snapshot)
            .setDiskSource(diskSource)
            .setTimeoutAction(end.timeoutAction())
            .putAllEnv(environment)
            .putAllLabels(labels)
            .setEgressPolicy(policy.policy())
            .setSize(SandboxSize.newBuilder().setVcpus(cpus).setMemoryMib(memory).setDiskMib(disk));
    secrets.forEach(secret -> request.addSecrets(secret(secret)));
    volumes.forEach(volume -> mount(request, volume));
    end.lifetime().ifPresent(request::setLifetime);
    if (!idleTimeout.isEmpty()) {
      request.setIdleTimeout(LifetimeOptions.duration("--idle-timeout", idleTimeout));
    }
    return request.build();
  }

  static SecretReference secret(String text) {
    int equals = text.indexOf('=');
    return SecretReference.newBuilder()
        .setSecret(equals < 0 ? text : text.substring(0, equals))
        .setEnv(equals < 0 ? "" : text.substring(equals + 1))
        .build();
  }

  private static void mount(CreateSandboxRequest.Builder request, String volume) {
    int colon = volume.indexOf(':');
    if (colon < 1) {
      throw new ClientException("--volume '%s', expected NAME:DIRECTORY".formatted(volume));
    }
    String directory = volume.substring(colon + 1);
    if (request.containsVolumes(directory)) {
      throw new ClientException("--volume: two at '%s'".formatted(directory));
    }
    request.putVolumes(directory, volume.substring(0, colon));
  }

  static EgressRule rule(String text) {
    EgressRule.Builder rule = EgressRule.newBuilder();
    int colon = text.lastIndexOf(':');
    String name = colon < 0 ? text : text.substring(0, colon);
    if (colon >= 0) {
      String port = text.substring(colon + 1);
      if (!port.matches("\\d{1,5}")) {
        throw new ClientException(
            "--allow-net '%s': '%s' is no port, expected HOST or HOST:PORT".formatted(text, port));
      }
      rule.addPorts(Integer.parseInt(port));
    }
    return (CIDR.matcher(name).matches() ? rule.setCidr(name) : rule.setHost(name)).build();
  }
}
