package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.lifecycle.VolumeSpec;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.v1.CreateVolumeRequest;
import dev.cofferdam.v1.ErrorReason;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** Volumes as they are asked for, checked for everything that needs no record. Pure. */
final class VolumeRequests {
  private static final int MAX_MOUNTS = 8;
  private static final int MAX_DIRECTORY = 1024;

  /** Absolute, no part of it empty, `.` or `..`, and neither the root nor the kernel's. */
  private static final Pattern DIRECTORY =
      Pattern.compile("(?!/(?:dev|proc|sys)(?:/|$))(?:/(?!\\.{1,2}(?:/|$))[^/\\x00-\\x1f\\x7f]+)+");

  private VolumeRequests() {}

  /**
   * @param base what the request's template is; empty where it names none
   * @throws Refusal with the reason of the first thing that is wrong
   */
  static VolumeSpec check(CreateVolumeRequest request, Optional<Volume.Base> base) {
    if (!Volume.isName(request.getName())) {
      throw invalid(
          "name is " + Texts.quoted(request.getName()) + ", expected [a-z][a-z0-9-]{0,62}");
    }
    int size = request.getSizeMib();
    if (size != 0 && (size < Volume.MIN_MIB || size > Volume.MAX_MIB)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "size_mib is %s, expected %d to %d, or 0"
              .formatted(Integer.toUnsignedString(size), Volume.MIN_MIB, Volume.MAX_MIB));
    }
    return new VolumeSpec(
        request.getName(),
        size,
        Optional.of(request.getSource()).filter(source -> !source.isEmpty()),
        base);
  }

  /**
   * @param volumes names by directory; what has a name is looked up later
   * @throws Refusal INVALID_ARGUMENT
   */
  static void checkMounts(Map<String, String> volumes) {
    if (volumes.size() > MAX_MOUNTS) {
      throw invalid("%d volumes, expected at most %d".formatted(volumes.size(), MAX_MOUNTS));
    }
    Set<String> names = new HashSet<>();
    volumes.forEach((directory, name) -> {
      if (!directory.equals(VolumeUse.DISK)
          && (directory.length() > MAX_DIRECTORY || !DIRECTORY.matcher(directory).matches())) {
        throw invalid(
            "volume %s is to be at %s, expected an absolute, plain path that is not in /dev, /proc or /sys"
                .formatted(Texts.quoted(name), Texts.quoted(directory)));
      }
      if (!names.add(name)) {
        throw invalid("volume " + Texts.quoted(name) + " is to be mounted twice");
      }
    });
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
