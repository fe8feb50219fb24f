package dev.cofferdam.node.template;

import dev.cofferdam.node.machine.MachineSize;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What of a size is fixed in a snapshot; a disk can still grow.
 *
 * @param vcpus as of a {@link MachineSize}, as is the memory
 */
public record PreparedSize(int vcpus, int memoryMib) {
  /** Any: it counts for nothing. */
  private static final int DISK_MIB = 64;

  private static final Pattern FORM = Pattern.compile("(\\d{1,6})x(\\d{1,6})");

  public PreparedSize {
    var _ = new MachineSize(vcpus, memoryMib, DISK_MIB);
  }

  /**
   * @param text {@code 2x1024}: processors and MiB of memory
   * @throws IllegalArgumentException naming what is wrong with it
   */
  public static PreparedSize parse(String text) {
    Matcher matcher = FORM.matcher(text);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "has '" + text + "', expected <vcpus>x<memory in MiB>, as 2x1024");
    }
    return new PreparedSize(Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2)));
  }

  static PreparedSize of(MachineSize size) {
    return new PreparedSize(size.vcpus(), size.memoryMib());
  }

  @Override
  public String toString() {
    return vcpus + "x" + memoryMib;
  }
}
