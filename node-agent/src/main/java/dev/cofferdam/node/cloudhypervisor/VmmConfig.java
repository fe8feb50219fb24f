package dev.cofferdam.node.cloudhypervisor;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.machine.MachineSpec;
import java.util.List;

/**
 * What a Cloud Hypervisor process and its machine are told. Paths are those of the jail that
 * node-helper builds: {@code /sandbox} is the sandbox's own directory, {@code /image} the image,
 * {@code /template} the template, {@code /volume} the volumes. The tap is found by name in the
 * slot's network namespace.
 *
 * <p>All of that is the same for every machine, so a snapshot's own configuration fits each clone.
 */
final class VmmConfig {
  /** The API's socket in a sandbox's directory. */
  static final String SOCKET = "ch.sock";

  /** The events' file in a sandbox's directory. */
  static final String EVENTS = "ch-events.json";

  /** The writable disk, as the API knows it. */
  static final String DISK = "disk";

  /** Where the jail shows the volumes' files, under their numbers. */
  static final String VOLUMES = "/volume";

  /** The guest's address is the same in every slot, so its MAC is too. */
  private static final String MAC = "02:cf:00:00:00:15";

  private VmmConfig() {}

  /**
   * The command line, without the program: node-helper hands it the API's listening socket and the
   * events' file as descriptors, for what Cloud Hypervisor makes by itself nobody else may open.
   */
  static List<String> arguments() {
    return List.of("--api-socket", "fd=3", "--event-monitor", "fd=5", "--seccomp", "true");
  }

  /**
   * The body of {@code vm.create}, volumes included.
   *
   * @param landlock as {@link #machine} has it
   */
  static ObjectNode machineWithVolumes(MachineSpec spec, boolean landlock) {
    ObjectNode config = machine(spec, landlock);
    for (int number = 0; number < spec.volumes().size(); number++) {
      config.withArray("disks").add(volume(number));
    }
    return config;
  }

  /** A disk that the guest knows by its serial number. */
  static ObjectNode volume(int number) {
    return CloudHypervisorClient.object()
        .put("id", volumeId(number))
        .put("path", VOLUMES + "/" + number)
        .put("serial", "volume-" + number)
        .put("image_type", "Raw");
  }

  static String volumeId(int number) {
    return "volume" + number;
  }

  /**
   * The machine alone, of which a template knows: volumes are its clones' own.
   *
   * @param landlock its threads reach nothing of the jail but the sandbox's directory, the image's
   *     files and the tap's device
   */
  static ObjectNode machine(MachineSpec spec, boolean landlock) {
    ObjectNode config = CloudHypervisorClient.object();
    config
        .putObject("cpus")
        .put("boot_vcpus", spec.size().vcpus())
        .put("max_vcpus", spec.size().vcpus())
        // The guest gets no virtualisation of its own: the host's code for that is large.
        .put("nested", false);
    config
        .putObject("memory")
        .put("size", (long) spec.size().memoryMib() << 20)
        // A page that a clone writes to costs a page, not 2 MiB; and nothing stalls for a huge one.
        .put("thp", false);
    config
        .putObject("payload")
        .put("kernel", "/image/vmlinuz")
        .put("initramfs", "/image/initrd")
        .put("cmdline", spec.kernelArguments());
    var disks = config.putArray("disks");
    // Always raw: another format could name a backing file.
    disks
        .addObject()
        .put("id", "root")
        .put("path", "/image/" + spec.root())
        .put("readonly", true)
        .put("image_type", "Raw");
    disks.addObject().put("id", DISK).put("path", spec.diskPath()).put("image_type", "Raw");
    config.putArray("net").addObject().put("id", "net0").put("tap", "tap0").put("mac", MAC);
    config.putObject("rng").put("src", "/dev/urandom");
    // A snapshot's clones inherit it: a tenant could fill the host's disk through a file.
    config.putObject("serial").put("mode", "Null");
    config.putObject("console").put("mode", "Off");
    config.put("landlock_enable", landlock);
    if (landlock) {
      config.putArray("landlock_rules").addObject().put("path", "/sandbox").put("access", "rw");
    }
    return config;
  }
}
