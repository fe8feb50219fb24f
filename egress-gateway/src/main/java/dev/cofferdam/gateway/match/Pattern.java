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
}
