package dev.cofferdam.scheduler.tenant;

import java.time.Instant;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A key by which somebody gets into the tenant's sandboxes.
 *
 * @param name unique among the tenant's
 * @param token id of the one that it ends with
 * @param lastUse of the last session with a sandbox that is still on record
 */
public record SshKeyRecord(
    String tenant,
    String name,
    String token,
    SshPublicKey key,
    Instant createTime,
    Optional<Instant> lastUse) {
  private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");

  public SshKeyRecord {
    if (!isName(name)) {
      throw new IllegalArgumentException("name is '" + name + "', expected " + NAME);
    }
  }

  public static boolean isName(String text) {
    return NAME.matcher(text).matches();
  }
}
