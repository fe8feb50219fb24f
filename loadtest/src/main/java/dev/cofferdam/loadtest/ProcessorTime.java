package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * How long threads have had a processor. Those of a JVM's compilers are left out: what they take in
 * the first minutes is not what a request costs.
 *
 * @param byThread nanoseconds by thread id
 */
record ProcessorTime(Map<Long, Long> byThread) {
  private static final Path PROC = Path.of("/proc");

  ProcessorTime {
    byThread = Map.copyOf(byThread);
  }

  /** Of these processes up to now; one that is gone has none. */
  static ProcessorTime of(List<Long> processes) {
    Map<Long, Long> nanos = new HashMap<>();
    for (long process : processes) {
      try (Stream<Path> threads = Files.list(PROC.resolve(process + "/task"))) {
        threads.forEach(thread -> read(thread, nanos));
      } catch (IOException e) {
        // It ended meanwhile.
      }
    }
    return new ProcessorTime(nanos);
  }

  private static void read(Path thread, Map<Long, Long> nanos) {
    try {
      String name = Files.readString(thread.resolve("comm"));
      if (!name.startsWith("C1 Compiler") && !name.startsWith("C2 Compiler")) {
        String text = Files.readString(thread.resolve("schedstat"));
        nanos.put(
            Long.parseLong(thread.getFileName().toString()),
            Long.parseLong(text.substring(0, text.indexOf(' '))));
      }
    } catch (IOException e) {
      // It ended meanwhile.
    }
  }

  /** Milliseconds since an earlier look; what threads took that have ended is not known. */
  double millisSince(ProcessorTime earlier) {
    return byThread.entrySet().stream()
            .mapToLong(
                thread -> thread.getValue() - earlier.byThread.getOrDefault(thread.getKey(), 0L))
            .sum()
        / 1e6;
  }
}
