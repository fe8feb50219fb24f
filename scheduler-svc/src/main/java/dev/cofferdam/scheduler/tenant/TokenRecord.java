package dev.cofferdam.scheduler.tenant;

import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A token without the token: whoever reads the database cannot call with what is there.
 *
 * @param id {@code tk-} and 16 characters of {@code [a-z2-7]}; not secret
 * @param tenant {@code [a-z][a-z0-9-]{0,62}}
 * @param scopes at least one, never {@link Scope#SECRETS_WRITE}: a scheduler that is taken over
 *     must not be able to change what a secret may be used for
 */
public record TokenRecord(String id, String tenant, Set<Scope> scopes, Instant createTime) {
  private static final Pattern ID = Pattern.compile("tk-[a-z2-7]{16}");
  private static final Pattern TENANT = Pattern.compile("[a-z][a-z0-9-]{0,62}");

  public TokenRecord {
    if (!ID.matcher(id).matches()) {
      throw new IllegalArgumentException("id is '" + id + "', expected " + ID);
    }
    if (!TENANT.matcher(tenant).matches()) {
      throw new IllegalArgumentException("tenant is '" + tenant + "', expected " + TENANT);
    }
    if (scopes.isEmpty()) {
      throw new IllegalArgumentException("scopes is empty, expected at least one");
    }
    if (scopes.contains(Scope.SECRETS_WRITE)) {
      throw new IllegalArgumentException(
          "scopes contains secrets:write; such a token is registered at the broker alone");
    }
    scopes = Set.copyOf(scopes);
  }

  /** Sorted, as they stand on the wire. */
  public List<String> scopeNames() {
    return scopes.stream().map(Scope::wireName).sorted().toList();
  }
}
