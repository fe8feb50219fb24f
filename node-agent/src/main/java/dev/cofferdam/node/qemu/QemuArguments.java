package dev.cofferdam.node.qemu;

import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * QEMU's command line. Paths are those of the jail that node-helper builds: {@code /sandbox} is the
 * sandbox's own directory, {@code /image} the image; descriptor 3 is the tap, 4 the memory of a
 * template or snapshot.
 *
 * <p>A snapshot is read back only by the same devices in the same order, so all three kinds of
 * start share one list and differ in where memory lies and whether state is awaited.
 */
final class QemuArguments {
  /**
   * MiB. QEMU's own default is up to 1 GiB, which a busy guest fills: its VMM would outgrow the
   * cgroup's allowance over the guest's memory and be killed. A full cache is flushed and refilled.
   */
  private static final int TRANSLATION_CACHE_MIB = 96;

  /**
   * Everything that can be emulated, but a fifth level of page tables (no guest of a node is large
   * enough for one, and each level is read at every miss of the emulated TLB), but the claim that
   * {@code rep movsb} is a fast way to copy (ERMS, FSRM: emulation takes it byte by byte), and but
   * SMAP and protection keys, whose switches end translated blocks and empty the emulated TLB.
   */
  private static final String CPU = "max,la57=off,erms=off,fsrm=off,smap=off,pku=off";

  /**
   * What an emulated processor asks of its guest's kernel. Its timer's calibration fails, so the
   * clock is said to be good; what keeps speculation from leaking costs time against nothing; and
   * programs lie at the same addresses at each start, because QEMU before 8.0 knows translated code
   * by its virtual address and would translate a randomly placed program anew each time (measured:
   * 35 ms a process instead of 5).
   */
  private static final String KERNEL = " tsc=reliable mitigations=off norandmaps";

  /** The writable disk, as QMP knows it. */
  static final String DISK = "disk";

  /** Where the guest's memory lies. */
  enum Memory {
    /** Anonymous: nothing of it is ever on disk. */
    PRIVATE,
    /** That of a template or a snapshot, copied page by page as it is written to. */
    KEPT,
    /** A file in the sandbox's directory, likewise. */
    OWN
  }

  /** The guest's address is the same in every slot, so its MAC is too. */
  private static final String MAC = "02:cf:00:00:00:15";

  private QemuArguments() {}

  static List<String> of(MachineSpec spec, Memory memory) {
    MachineSize size = spec.size();
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "-nodefaults",
                "-no-user-config",
                "-nographic",
                "-no-reboot",
                "-sandbox",
                "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                "-S",
                "-cpu",
                CPU,
                "-smp",
                Integer.toString(size.vcpus()),
                "-m",
                Integer.toString(size.memoryMib()),
                "-machine",
                "pc,graphics=off,memory-backend=m0",
                "-accel",
                "tcg,tb-size=" + TRANSLATION_CACHE_MIB,
                "-object",
                backend(size, memory),
                "-drive",
                "if=none,id=root,file=/image/%s,format=raw,readonly=on,file.locking=off"
                    .formatted(spec.root()),
                "-device",
                "virtio-blk-pci,drive=root",
                "-drive",
                "if=none,id=" + DISK + ",file=" + spec.diskPath() + ",format=raw",
                "-device",
                "virtio-blk-pci,drive=" + DISK,
                "-netdev",
                "tap,id=n0,fd=3",
                "-device",
                "virtio-net-pci,netdev=n0,mac=" + MAC + ",romfile=",
                "-qmp",
                "unix:/sandbox/qmp.sock,server=on,wait=off",
                // To a file a tenant's guest could fill the host's disk.
                "-serial",
                "null"));
    arguments.addAll(volumes(spec));
    if (memory != Memory.PRIVATE) {
      // Kernel and initrd are in the guest's memory already. Reading them again would cost 60 ms
      // and 14 MB a machine.
      arguments.addAll(List.of("-incoming", "defer"));
    } else {
      arguments.addAll(
          List.of(
              "-kernel",
              "/image/vmlinuz",
              "-initrd",
              "/image/initrd",
              "-append",
              spec.kernelArguments() + KERNEL));
    }
    return List.copyOf(arguments);
  }

  /**
   * After all other devices, whose places the template's state knows. A clone's kernel finds them
   * when its agent has it look.
   */
  private static List<String> volumes(MachineSpec spec) {
    List<String> arguments = new ArrayList<>();
    for (int number = 0; number < spec.volumes().size(); number++) {
      arguments.addAll(
          List.of(
              "-drive",
              "if=none,id=volume%d,file=/volume/%d,format=raw".formatted(number, number),
              "-device",
              "virtio-blk-pci,drive=volume%d,serial=volume-%d".formatted(number, number)));
    }
    return arguments;
  }

  private static String backend(MachineSize size, Memory memory) {
    String bytes = ",id=m0,size=" + size.memoryMib() + "M";
    return switch (memory) {
      case PRIVATE -> "memory-backend-ram" + bytes;
      case KEPT -> "memory-backend-file" + bytes + ",mem-path=/proc/self/fd/4,share=off";
      case OWN -> "memory-backend-file" + bytes + ",mem-path=/sandbox/ram,share=off";
    };
  }
}
