package dev.cofferdam.gateway.match;

/** A run of units, each of which one or several byte values may stand for. */
public interface Pattern {
  /** In units, at least 1. */
  int length();

  /**
   * @param index of the unit
   * @param value 0 to 255
   */
  boolean accepts(int index, int value);

  /**
   * The least value from there on that may stand for a unit, or -1. A pattern that knows them
   * better tells them sooner.
   */
  default int accepted(int index, int from) {
    for (int value = from; value < 256; value++) {
      if (accepts(index, value)) {
        return value;
      }
    }
    return -1;
  }
}
