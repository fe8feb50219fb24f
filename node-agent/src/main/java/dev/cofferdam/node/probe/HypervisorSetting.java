package dev.cofferdam.node.probe;

import java.util.Arrays;
import java.util.Optional;

/** What an operator asks for. */
public enum HypervisorSetting {
  /** Cloud Hypervisor where it boots a guest, else QEMU. */
  AUTO("auto"),
  /** Cloud Hypervisor, or the node does not start. */
  CLOUD_HYPERVISOR("cloud-hypervisor"),
  QEMU("qemu");

  private final String label;

  HypervisorSetting(String label) {
    this.label = label;
  }

  /** As the settings spell it. */
  public String label() {
    return label;
  }

  public static Optional<HypervisorSetting> of(String label) {
    return Arrays.stream(values()).filter(setting -> setting.label.equals(label)).findFirst();
  }
}
