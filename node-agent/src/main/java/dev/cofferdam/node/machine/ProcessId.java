package dev.cofferdam.node.machine;

/**
 * One process of the host, told apart from a later one that got the same number.
 *
 * @param pid in the host's namespace
 * @param startTime in clock ticks since boot: field 22 of {@code /proc/<pid>/stat}, proc(5)
 */
public record ProcessId(long pid, long startTime) {
  public ProcessId {
    if (pid <= 1) {
      throw new IllegalArgumentException("pid is " + pid + ", expected more than 1");
    }
    if (startTime < 0) {
      throw new IllegalArgumentException("start time is " + startTime + ", expected at least 0");
    }
  }
}
