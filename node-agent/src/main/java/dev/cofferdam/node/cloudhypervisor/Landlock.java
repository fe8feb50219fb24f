package dev.cofferdam.node.cloudhypervisor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Whether a kernel has the Landlock that Cloud Hypervisor insists on, whole: its third interface,
 * of Linux 6.2. A newer kernel that was started without it refuses the first machine, and is told
 * so.
 */
public final class Landlock {
  private static final int MAJOR = 6;
  private static final int MINOR = 2;
  private static final Pattern RELEASE = Pattern.compile("(\\d{1,4})\\.(\\d{1,4})[^0-9].*");

  private Landlock() {}

  /**
   * @param release as {@code /proc/sys/kernel/osrelease}
   */
  public static boolean usable(Path release) {
    try {
      Matcher matcher = RELEASE.matcher(Files.readString(release).strip());
      if (!matcher.matches()) {
        return false;
      }
      int major = Integer.parseInt(matcher.group(1));
      return major > MAJOR || (major == MAJOR && Integer.parseInt(matcher.group(2)) >= MINOR);
    } catch (IOException e) {
      return false;
    }
  }
}
