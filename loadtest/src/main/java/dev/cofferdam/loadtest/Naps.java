package dev.cofferdam.loadtest;

import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;

/** One sandbox that is paused, resumed, suspended and woken, again and again. */
final class Naps {
  private Naps() {}

  static void run(Report report, Creates workload, int count) {
    String sandbox = workload.make().sandbox();
    List<Creates.Nap> naps = new ArrayList<>();
    try {
      for (int i = 0; i < count; i++) {
        naps.add(workload.nap(sandbox));
      }
    } catch (StatusRuntimeException e) {
      // What a mesh cannot do is no reason to lose what else was measured.
      report.line("pause, resume, suspend, wake: not measured, " + e.getStatus());
      return;
    } finally {
      workload.delete(sandbox);
    }
    report.times("pause", "pause", of(naps, Creates.Nap::pause));
    report.times("resume_to_output", "resume to output", of(naps, Creates.Nap::resumeToOutput));
    report.times("suspend", "suspend", of(naps, Creates.Nap::suspend));
    report.times(
        "wake_to_output", "wake by a command to its output", of(naps, Creates.Nap::wakeToOutput));
  }

  private static Percentiles of(List<Creates.Nap> naps, ToLongFunction<Creates.Nap> time) {
    return Percentiles.ofNanos(naps.stream().mapToLong(time).toArray());
  }
}
