package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.machine.Hypervisor;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** The sandboxes' profiles, on disk. */
final class Profiles {
  private final SandboxFiles files;
  private final Hypervisor hypervisor;

  Profiles(SandboxFiles files, Hypervisor hypervisor) {
    this.files = files;
    this.hypervisor = hypervisor;
  }

  /** Before anything that needs it: a sandbox is not said to run without one. */
  void write(StartOrder order, String image, String kernelArguments) {
    MachineSpec spec = new MachineSpec("", 1, image, order.size(), kernelArguments);
    Profile profile =
        new Profile(
            image,
            kernelArguments,
            hypervisor.fingerprint(spec),
            order.idle(),
            order.environment(),
            order.caCertificate(),
            new TreeMap<>(order.volumes()));
    try {
      files.writeProfile(order.sandbox(), profile.encoded());
    } catch (IOException e) {
      throw SandboxMaker.failed(order, e);
    }
  }

  /**
   * @throws MachineException when there is none that can be read
   */
  Profile read(String sandbox) {
    try {
      return Profile.decode(
          files
              .readProfile(sandbox)
              .orElseThrow(() -> new IOException("nothing is known of how it was started")));
    } catch (IOException e) {
      throw new MachineException(sandbox + ": " + e.getMessage(), e);
    }
  }

  /** Digests of the images of all of them. */
  Set<String> images() throws IOException {
    Set<String> images = new TreeSet<>();
    for (String sandbox : files.present()) {
      Optional<String> profile = files.readProfile(sandbox);
      if (profile.isPresent()) {
        images.add(Profile.decode(profile.get()).image());
      }
    }
    return images;
  }

  /** Whether its writable disk lies in its directory, and not with the volumes. */
  boolean hasOwnDisk(String sandbox) {
    return Mounts.disk(read(sandbox).volumes()).isEmpty();
  }

  MachineSpec spec(String sandbox, int slot, MachineSize size) {
    Profile profile = read(sandbox);
    return new MachineSpec(
        sandbox,
        slot,
        profile.image(),
        size,
        profile.kernelArguments(),
        Mounts.mounted(profile.volumes()),
        Mounts.disk(profile.volumes()));
  }
}
