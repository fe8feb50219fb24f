package dev.cofferdam.scheduler.sandbox;

import java.util.Optional;

/**
 * What a copy was made of.
 *
 * @param sandbox it may have ended since
 * @param generation of that one's placeholders then
 * @param snapshot empty for a fork, whose snapshot is not kept
 */
public record Origin(String sandbox, long generation, Optional<String> snapshot) {
  public Origin {
    if (generation < 0) {
      throw new IllegalArgumentException("generation is " + generation + ", expected at least 0");
    }
  }
}
