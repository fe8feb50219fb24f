package dev.cofferdam.scheduler.sandbox;

/**
 * A volume that a sandbox has.
 *
 * @param directory it is mounted at, or {@link #DISK}
 * @param name the tenant's
 * @param id the node's
 */
public record VolumeUse(String directory, String name, String id) {
  /** Where a volume is the sandbox's own disk. */
  public static final String DISK = "/";

  public boolean isDisk() {
    return directory.equals(DISK);
  }
}
