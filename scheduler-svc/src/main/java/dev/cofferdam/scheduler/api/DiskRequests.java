package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.sandbox.VolumeUse;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.ErrorReason;
import java.util.Optional;

/**
 * Sandboxes whose own disk is a volume, or begins as a copy of one, as they are asked for. Pure.
 */
final class DiskRequests {
  private DiskRequests() {}

  /** Name of the volume that is asked for, either way. */
  static Optional<String> volume(CreateSandboxRequest request) {
    return Optional.ofNullable(request.getVolumesMap().get(VolumeUse.DISK))
        .or(() -> source(request));
  }

  /** Name of the volume that the disk is to begin as a copy of. */
  static Optional<String> source(CreateSandboxRequest request) {
    return Optional.of(request.getDiskSource()).filter(name -> !name.isEmpty());
  }

  /**
   * @param own the tenant's template of that name, as it is now; empty: the operator's
   * @return what it is the disk of
   * @throws Refusal VOLUME_NOT_BOOTABLE
   */
  static Volume.Base base(Volume volume, Optional<Template> own) {
    Volume.Base base =
        volume
            .base()
            .orElseThrow(
                () -> notBootable("volume " + volume.name() + " was made for no template"));
    if (!own.map(Template::id).orElse(base.template()).equals(base.offer())) {
      throw notBootable(
          "volume %s was made for another template %s than there is now"
              .formatted(volume.name(), base.template()));
    }
    return base;
  }

  /**
   * What the rest of the request says has to fit.
   *
   * @param template of the request, or as otherwise
   * @throws Refusal INVALID_ARGUMENT, SIZE_OUT_OF_RANGE
   */
  static void check(
      CreateSandboxRequest request, Volume volume, String template, SandboxSize size) {
    boolean copied = !request.getDiskSource().isEmpty();
    if (copied && request.getVolumesMap().containsKey(VolumeUse.DISK)) {
      throw invalid("disk_source and a volume at / are both set, expected one of them");
    }
    if (copied && !request.getSnapshot().isEmpty()) {
      throw invalid("snapshot and disk_source are both set, expected one of them");
    }
    String base = volume.base().map(Volume.Base::template).orElse("");
    if (!template.equals(base)) {
      throw invalid(
          "template is %s, expected %s, which volume %s was made for, or none"
              .formatted(Texts.quoted(template), base, volume.name()));
    }
    if (copied ? size.diskMib() < volume.sizeMib() : size.diskMib() != volume.sizeMib()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE,
          "disk_mib is %d, expected %s%d, the size of volume %s, or 0"
              .formatted(
                  size.diskMib(), copied ? "at least " : "", volume.sizeMib(), volume.name()));
    }
  }

  /** A sandbox that names no size has the volume's disk. */
  static SandboxSize size(SandboxSize otherwise, Volume volume) {
    return new SandboxSize(otherwise.vcpus(), otherwise.memoryMib(), volume.sizeMib());
  }

  private static Refusal notBootable(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_VOLUME_NOT_BOOTABLE, message);
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
