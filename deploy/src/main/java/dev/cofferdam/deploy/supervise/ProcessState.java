package dev.cofferdam.deploy.supervise;

import java.time.Duration;
import java.time.Instant;

/** Where a supervised process is in its life. */
public sealed interface ProcessState {
  record Running(long pid, Instant since) implements ProcessState {}

  /** It ended by itself, or never started; it is started again after {@code pause}. */
  record Waiting(String cause, Duration pause) implements ProcessState {}

  /** For good. */
  record Stopped() implements ProcessState {}
}
