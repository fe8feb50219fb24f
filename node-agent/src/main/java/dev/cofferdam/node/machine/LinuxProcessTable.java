package dev.cofferdam.node.machine;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The host's processes, from {@code /proc}. */
public final class LinuxProcessTable implements ProcessTable {
  /**
   * Fields of stat after the command's closing bracket: the state is the first, the start time the
   * 20th.
   */
  private static final int STATE = 0;

  private static final int START_TIME = 19;

  private final Path proc;

  public LinuxProcessTable() {
    this(Path.of("/proc"));
  }

  LinuxProcessTable(Path proc) {
    this.proc = proc;
  }

  @Override
  public boolean alive(ProcessId process) {
    String stat;
    try {
      stat =
          Files.readString(
              proc.resolve(Long.toString(process.pid())).resolve("stat"),
              StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return false;
    }
    // The command may hold blanks and brackets: what counts begins after the last one.
    String[] fields = stat.substring(stat.lastIndexOf(')') + 1).strip().split(" ", -1);
    return fields.length > START_TIME
        && !fields[STATE].equals("Z")
        && !fields[STATE].equals("X")
        && fields[START_TIME].equals(Long.toString(process.startTime()));
  }
}
