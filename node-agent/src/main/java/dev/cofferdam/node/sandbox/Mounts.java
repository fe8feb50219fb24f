package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.volume.Volumes;
import dev.cofferdam.v1.ErrorReason;
import java.util.Collections;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** Which volumes a sandbox has, and where. */
final class Mounts {
  private static final int MAX = 8;
  private static final int MAX_PATH = 1024;

  /** Absolute, no part of it empty, `.` or `..`, and neither the root nor the kernel's. */
  private static final Pattern DIRECTORY =
      Pattern.compile("(?!/(?:dev|proc|sys)(?:/|$))(?:/(?!\\.{1,2}(?:/|$))[^/\\x00-\\x1f\\x7f]+)+");

  private Mounts() {}

  /**
   * In the order of the directories: parents come before what lies in them.
   *
   * @param volumes ids by directory
   */
  static SortedMap<String, String> checked(Map<String, String> volumes) {
    if (volumes.size() > MAX) {
      throw invalid("%d volumes, expected at most %d".formatted(volumes.size(), MAX));
    }
    Set<String> ids = new HashSet<>();
    volumes.forEach((directory, id) -> {
      Volumes.requireId(id);
      if (directory.length() > MAX_PATH || !DIRECTORY.matcher(directory).matches()) {
        throw invalid(
            "a volume's directory is '%s', expected an absolute, plain path that is neither / nor in /dev, /proc or /sys"
                .formatted(directory));
      }
      if (!ids.add(id)) {
        throw invalid("volume " + id + " is to be mounted twice");
      }
    });
    return Collections.unmodifiableSortedMap(new TreeMap<>(volumes));
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
