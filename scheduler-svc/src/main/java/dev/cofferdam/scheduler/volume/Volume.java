package dev.cofferdam.scheduler.volume;

import java.time.Instant;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The record of a volume.
 *
 * @param id {@code vol-} and 20 characters of {@code [a-z2-7]}; tenants do not see it
 * @param name unique among the tenant's
 * @param sizeMib {@link #MIN_MIB} to {@link #MAX_MIB}
 * @param node that keeps it, and the only one that can run a sandbox with it
 * @param source that it began as a copy of; it may be gone since
 * @param base whose sandboxes it can be the disk of; empty: none's
 */
public record Volume(
    String id,
    String tenant,
    String name,
    int sizeMib,
    String node,
    Optional<Source> source,
    Optional<Base> base,
    Instant createTime,
    VolumeState state) {
  public static final int MIN_MIB = 64;
  public static final int MAX_MIB = 1 << 20;
  private static final Pattern ID = Pattern.compile("vol-[a-z2-7]{20}");
  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9-]{0,62}");

  /** A volume by both its names. */
  public record Source(String id, String name) {}

  /**
   * A template that a volume was made for.
   *
   * @param template as tenants know it
   * @param offer as nodes do; another one of the same name has another
   */
  public record Base(String template, String offer) {}

  public Volume {
    if (!ID.matcher(id).matches() || !isName(name) || sizeMib < MIN_MIB || sizeMib > MAX_MIB) {
      throw new IllegalArgumentException(
          "volume %s is '%s' of %d MiB, expected %s, %s and %d to %d"
              .formatted(id, name, sizeMib, ID, NAME, MIN_MIB, MAX_MIB));
    }
  }

  public static boolean isName(String text) {
    return NAME.matcher(text).matches();
  }
}
