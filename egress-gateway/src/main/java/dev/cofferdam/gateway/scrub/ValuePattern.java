package dev.cofferdam.gateway.scrub;

import dev.cofferdam.gateway.match.Pattern;

/** A value in one of its encodings, computed from the value itself so that no copy is made. */
sealed interface ValuePattern extends Pattern {

  record Raw(SecretValue value) implements ValuePattern {
    @Override
    public int length() {
      return value.length();
    }

    @Override
    public boolean accepts(int index, int candidate) {
      return value.at(index) == candidate;
    }

    @Override
    public int accepted(int index, int from) {
      int only = value.at(index);
      return from <= only ? only : -1;
    }
  }

  /** Either case of the digits, even mixed. */
  record Hex(SecretValue value) implements ValuePattern {
    @Override
    public int length() {
      return 2 * value.length();
    }

    @Override
    public boolean accepts(int index, int candidate) {
      return Character.digit(candidate, 16) == digit(index);
    }

    @Override
    public int accepted(int index, int from) {
      char lower = Character.forDigit(digit(index), 16);
      char upper = Character.toUpperCase(lower);
      return from <= upper ? upper : from <= lower ? lower : -1;
    }

    private int digit(int index) {
      int unit = value.at(index / 2);
      return index % 2 == 0 ? unit >> 4 : unit & 15;
    }
  }

  /**
   * The digits that the value alone decides, in the standard alphabet or that for URLs.
   *
   * @param alignment the value's first byte is byte 0, 1 or 2 of a group of three
   */
  record Base64(SecretValue value, int alignment) implements ValuePattern {
    private static final String ALPHABET =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    @Override
    public int length() {
      return Math.max(0, 8 * (alignment + value.length()) / 6 - firstDigit());
    }

    @Override
    public boolean accepts(int index, int candidate) {
      int expected = ALPHABET.charAt(digit(firstDigit() + index));
      return candidate == expected
          || (expected == '+' && candidate == '-')
          || (expected == '/' && candidate == '_');
    }

    @Override
    public int accepted(int index, int from) {
      int standard = ALPHABET.charAt(digit(firstDigit() + index));
      int other = standard == '+' ? '-' : standard == '/' ? '_' : standard;
      return from <= standard ? standard : from <= other ? other : -1;
    }

    private int firstDigit() {
      return (8 * alignment + 5) / 6;
    }

    private int digit(int place) {
      int bit = 6 * place - 8 * alignment;
      int first = bit / 8;
      int pair = value.at(first) << 8 | (first + 1 < value.length() ? value.at(first + 1) : 0);
      return pair >> (10 - bit % 8) & 63;
    }
  }
}
