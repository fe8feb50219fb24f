package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.secret.SecretRules;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SecretReference;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What a new sandbox asks for.
 *
 * @param sandbox its id
 * @param node the node's instance
 * @param epoch of the assignment to the node
 * @param wishes at most {@value #MAX_SECRETS}, each environment variable once
 * @param origin what the sandbox is a copy of; empty for one that is none
 */
public record SandboxGrants(
    String sandbox, String node, long epoch, List<Wish> wishes, Optional<Origin> origin) {
  public static final int MAX_SECRETS = 64;

  private static final Pattern SANDBOX = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}");
  private static final Pattern NODE = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}");
  private static final Pattern ENV = Pattern.compile("[A-Za-z_][A-Za-z0-9_]{0,127}");

  /**
   * One secret for one environment variable.
   *
   * @param secret the secret's name
   * @param env the variable that will hold its placeholder
   */
  public record Wish(String secret, String env) {
    public Wish {
      var _ = SecretRules.checkName(secret);
      if (!ENV.matcher(env).matches()) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID,
            "the variable for %s does not look like one, expected %s".formatted(secret, ENV));
      }
    }

    /** Without a variable: the secret's name in upper case, {@code -} as {@code _}. */
    public static Wish of(SecretReference reference) {
      return new Wish(
          reference.getSecret(),
          reference.getEnv().isEmpty()
              ? reference.getSecret().toUpperCase(Locale.ROOT).replace('-', '_')
              : reference.getEnv());
    }
  }

  /**
   * A sandbox as it was in one generation of its placeholders.
   *
   * @param generation at least 1
   */
  public record Origin(String sandbox, long generation) {
    public Origin {
      checkSandbox(sandbox);
      if (generation < 1) {
        throw invalid(
            "the origin's generation is %s, expected 1 to 2^63-1"
                .formatted(Long.toUnsignedString(generation)));
      }
    }
  }

  public SandboxGrants {
    wishes = List.copyOf(wishes);
    checkSandbox(sandbox);
    checkNode(node);
    checkEpoch(epoch);
    if (wishes.size() > MAX_SECRETS) {
      throw invalid("%d secrets, expected at most %d".formatted(wishes.size(), MAX_SECRETS));
    }
    if (origin.map(Origin::sandbox).filter(sandbox::equals).isPresent()) {
      throw invalid("sandbox %s is given as a copy of itself".formatted(sandbox));
    }
    Set<String> variables = new HashSet<>();
    for (Wish wish : wishes) {
      if (!variables.add(wish.env())) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_ENVIRONMENT_INVALID,
            "two secrets are for the variable %s, expected one".formatted(wish.env()));
      }
    }
  }

  /** For one who makes ids of sandboxes by itself. */
  public static void checkNoSession(String sandbox) {
    if (sandbox.startsWith(Sessions.PREFIX)) {
      throw invalid("a sandbox's id does not begin with %s".formatted(Sessions.PREFIX));
    }
  }

  static void checkSandbox(String sandbox) {
    if (!SANDBOX.matcher(sandbox).matches()) {
      throw invalid("the sandbox's id does not look like one, expected " + SANDBOX);
    }
  }

  static void checkNode(String node) {
    if (!NODE.matcher(node).matches()) {
      throw invalid("the node's name does not look like one, expected " + NODE);
    }
  }

  static void checkEpoch(long epoch) {
    if (epoch < 0) {
      throw invalid(
          "the epoch is %s, expected less than 2^63".formatted(Long.toUnsignedString(epoch)));
    }
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
