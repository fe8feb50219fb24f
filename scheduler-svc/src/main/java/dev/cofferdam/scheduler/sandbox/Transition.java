package dev.cofferdam.scheduler.sandbox;

import java.util.Optional;

/**
 * One change of a record, to be stored only if the record is still what it was.
 *
 * @param event stored in the same transaction
 */
public record Transition(Sandbox before, Sandbox after, Optional<EventDraft> event) {
  public Transition {
    if (!before.id().equals(after.id()) || after.version() != before.version() + 1) {
      throw new IllegalArgumentException(
          "%s version %d cannot become %s version %d"
              .formatted(before.id(), before.version(), after.id(), after.version()));
    }
    if (after.epoch() < before.epoch()) {
      throw new IllegalArgumentException(
          "epoch of %s cannot fall from %d to %d"
              .formatted(before.id(), before.epoch(), after.epoch()));
    }
  }
}
