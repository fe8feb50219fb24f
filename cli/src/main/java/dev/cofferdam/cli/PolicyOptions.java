package dev.cofferdam.cli;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.PolicyMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** What may leave a sandbox. */
final class PolicyOptions {
  @Option(
      names = "--policy",
      paramLabel = "NAME|FILE",
      description =
          "A ready policy (none, packages, code-agent, open-read-only, learn), or a file of YAML or"
              + " JSON, with a dot or a slash in its name. Rules of --allow-net come after its.")
  private String policy = "";

  @Option(
      names = "--allow-net",
      paramLabel = "HOST[:PORT]",
      description = "A host, *.host or IPv4 range that may be reached; repeatable. Else nothing.")
  private List<String> hosts = new ArrayList<>();

  @Option(
      names = "--learn",
      description =
          "Let requests through that no rule matches, without secrets, for `sandbox proposal`.")
  private boolean learn;

  EgressPolicy policy() {
    EgressPolicy.Builder wanted =
        (policy.isEmpty() ? EgressPolicy.getDefaultInstance() : named(policy)).toBuilder();
    for (String host : hosts) {
      wanted.addRules(SandboxOptions.rule(host));
    }
    if (learn) {
      wanted.setMode(PolicyMode.POLICY_MODE_LEARN);
    }
    return wanted.build();
  }

  private static EgressPolicy named(String policy) {
    return policy.matches("[^./]*") ? ReadyPolicies.get(policy) : read(policy);
  }

  private static EgressPolicy read(String file) {
    try {
      return PolicyFile.parse(Files.readString(Path.of(file)), file);
    } catch (IOException e) {
      throw new ClientException("--policy %s cannot be read: %s".formatted(file, e));
    }
  }
}
