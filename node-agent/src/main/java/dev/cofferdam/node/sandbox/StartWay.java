package dev.cofferdam.node.sandbox;

/** How a sandbox came to run. */
public enum StartWay {
  /** A restored machine was waiting. */
  POOLED,
  /** A snapshot of its size was restored. */
  RESTORED,
  /** A snapshot was restored and grown to the size asked for. */
  RESIZED,
  /** A kernel was booted. */
  BOOTED
}
