package dev.cofferdam.scheduler;

import dev.cofferdam.kit.app.ServiceMain;

/** {@code scheduler-svc --config FILE}. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    ServiceMain.run(
        "scheduler-svc", args, settings -> SchedulerApp.start(SchedulerConfig.read(settings)));
  }
}
