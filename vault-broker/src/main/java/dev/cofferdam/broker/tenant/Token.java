package dev.cofferdam.broker.tenant;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What is known of a token: never the token.
 *
 * @param id {@code tk-} and 16 characters of [a-z2-7]
 * @param tenant {@code [a-z][a-z0-9-]{0,62}}
 * @param scopes at least one, all of {@link #SCOPES}
 */
public record Token(String id, String tenant, List<String> scopes, Instant createTime) {
  /** Lets its bearer write secrets and widen bindings. Known here alone, never at the scheduler. */
  public static final String SECRETS_WRITE = "secrets:write";

  public static final String SECRETS_READ = "secrets:read";
  public static final String SECRETS_USE = "secrets:use";
  public static final String SANDBOXES_WRITE = "sandboxes:write";
  public static final String AUDIT_READ = "audit:read";

  /** Lets its bearer answer for requests that wait. Never known at the scheduler either. */
  public static final String APPROVALS = "approvals";

  private static final Set<String> SCOPES =
      Set.of(
          "sandboxes:read",
          SANDBOXES_WRITE,
          "exec",
          "files",
          "ports",
          SECRETS_USE,
          SECRETS_READ,
          SECRETS_WRITE,
          AUDIT_READ,
          APPROVALS);
  private static final Pattern ID = Pattern.compile("tk-[a-z2-7]{16}");
  private static final Pattern TENANT = Pattern.compile("[a-z][a-z0-9-]{0,62}");

  public Token {
    scopes = scopes.stream().distinct().sorted().toList();
    if (!ID.matcher(id).matches()) {
      // Not quoted: somebody may have sent the token itself.
      throw invalid("the token's id does not look like one, expected " + ID);
    }
    if (!TENANT.matcher(tenant).matches()) {
      throw invalid("the tenant does not look like one, expected " + TENANT);
    }
    if (scopes.isEmpty() || !SCOPES.containsAll(scopes)) {
      throw invalid(
          "the scopes are %s, expected some of %s"
              .formatted(scopes, SCOPES.stream().sorted().toList()));
    }
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
