package dev.cofferdam.scheduler.sandbox;

import java.util.Locale;

/** The boundary around a guest. Emulation is the weaker one and is told to the tenant. */
public enum Isolation {
  HARDWARE,
  EMULATED;

  /** As it stands on the wire and in the database. */
  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Throws IllegalArgumentException for anything else than the two names. */
  public static Isolation parse(String name) {
    return switch (name) {
      case "hardware" -> HARDWARE;
      case "emulated" -> EMULATED;
      default ->
          throw new IllegalArgumentException(
              "isolation is '" + name + "', expected hardware or emulated");
    };
  }
}
