package dev.cofferdam.node.pool;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.LongSupplier;

/** The host's load from {@code /proc/meminfo} and {@code /proc/stat}, proc(5). */
public final class LinuxHostLoad implements HostLoad {
  private static final String AVAILABLE = "MemAvailable:";

  /** The kernel counts in hundredths of a second: less time than this says nothing. */
  private static final long WINDOW_NANOS = 150_000_000;

  /**
   * Of the line {@code cpu}: user nice system idle iowait irq softirq steal; the rest is in user.
   */
  private static final int FIELDS = 8;

  private static final int IDLE = 3;
  private static final int IOWAIT = 4;

  private final Path proc;
  private final LongSupplier nanos;
  private long at;
  private long idleTicks;
  private long allTicks;
  private double idle = 1;

  public LinuxHostLoad(LongSupplier nanos) {
    this(Path.of("/proc"), nanos);
  }

  LinuxHostLoad(Path proc, LongSupplier nanos) {
    this.proc = proc;
    this.nanos = nanos;
    sample();
  }

  @Override
  public long availableMib() {
    for (String line : read("meminfo").split("\n", -1)) {
      if (line.startsWith(AVAILABLE)) {
        return Long.parseLong(line.substring(AVAILABLE.length()).replace("kB", "").strip()) >> 10;
      }
    }
    throw new IllegalStateException(proc.resolve("meminfo") + " has no " + AVAILABLE);
  }

  /** Of the time since it was last asked, if that is long enough. */
  @Override
  public synchronized double idle() {
    if (nanos.getAsLong() - at >= WINDOW_NANOS) {
      sample();
    }
    return idle;
  }

  private synchronized void sample() {
    String[] fields = read("stat").split("\n", 2)[0].strip().split(" +", -1);
    long all = 0;
    for (int field = 1; field <= FIELDS && field < fields.length; field++) {
      all += Long.parseLong(fields[field]);
    }
    long nothing = Long.parseLong(fields[1 + IDLE]) + Long.parseLong(fields[1 + IOWAIT]);
    if (all > allTicks) {
      idle = (double) (nothing - idleTicks) / (all - allTicks);
    }
    idleTicks = nothing;
    allTicks = all;
    at = nanos.getAsLong();
  }

  private String read(String name) {
    try {
      return Files.readString(proc.resolve(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
