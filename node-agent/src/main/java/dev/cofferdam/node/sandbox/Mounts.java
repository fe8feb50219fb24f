package dev.cofferdam.node.sandbox;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.volume.Volumes;
import dev.cofferdam.v1.ErrorReason;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Which volumes a sandbox has, and where. */
final class Mounts {
  /** Where a volume is the sandbox's own disk. */
  static final String DISK = "/";

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
      if (!directory.equals(DISK)
          && (directory.length() > MAX_PATH || !DIRECTORY.matcher(directory).matches())) {
        throw invalid(
            "a volume's directory is '%s', expected an absolute, plain path that is not in /dev, /proc or /sys"
                .formatted(directory));
      }
      if (!ids.add(id)) {
        throw invalid("volume " + id + " is to be mounted twice");
      }
    });
    return Collections.unmodifiableSortedMap(new TreeMap<>(volumes));
  }

  /** Those that are mounted, by their number. */
  static List<String> mounted(SortedMap<String, String> volumes) {
    return mounts(volumes).map(Map.Entry::getValue).toList();
  }

  /** Where, by number. */
  static List<String> points(SortedMap<String, String> volumes) {
    return mounts(volumes).map(Map.Entry::getKey).toList();
  }

  /** The one that is the sandbox's own disk; empty: it has one in its directory. */
  static Optional<String> disk(SortedMap<String, String> volumes) {
    return Optional.ofNullable(volumes.get(DISK));
  }

  private static Stream<Map.Entry<String, String>> mounts(SortedMap<String, String> volumes) {
    return volumes.entrySet().stream().filter(entry -> !entry.getKey().equals(DISK));
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
