package dev.cofferdam.loadtest;

import picocli.CommandLine.Option;

/** How often and for how long each of several is measured; the options of a command line. */
final class Turns {
  @Option(names = "--rounds", description = "Turns of each (default: ${DEFAULT-VALUE}).")
  private int rounds;

  @Option(names = "--seconds", description = "Of one turn (default: ${DEFAULT-VALUE}).")
  private int seconds;

  @Option(
      names = "--warm-up",
      description = "Turns of each before any counts (default: ${DEFAULT-VALUE}).")
  private int warmUp;

  /** What they are by default. */
  Turns(int rounds, int seconds, int warmUp) {
    this.rounds = rounds;
    this.seconds = seconds;
    this.warmUp = warmUp;
  }

  int rounds() {
    return rounds;
  }

  int seconds() {
    return seconds;
  }

  long millis() {
    return seconds * 1000L;
  }

  int warmUp() {
    return warmUp;
  }
}
