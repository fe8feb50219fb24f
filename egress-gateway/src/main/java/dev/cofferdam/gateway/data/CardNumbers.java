package dev.cofferdam.gateway.data;

import java.util.Optional;

/** Numbers of payment cards, ISO/IEC 7812, by the ranges that networks publish. */
final class CardNumbers implements Detector {
  private static final int FEWEST = 13;
  private static final int MOST = 19;

  /** Groups as they are printed: four by four with a rest, or Amex's and Diners'. */
  private static final int[] FOURS = {4, 4, 4, 4, 3};

  private static final int[] LONGER = {4, 6, 5};

  @Override
  public Optional<Match> next(Text text, int from) {
    for (int at = from; at < text.length(); at++) {
      if (Text.digit(text.at(at)) && begins(text, at)) {
        int end = end(text, at);
        if (end > 0) {
          return Optional.of(new Match(at, end));
        }
      }
    }
    return Optional.empty();
  }

  private static boolean begins(Text text, int at) {
    int before = text.at(at - 1);
    // As a part of a fraction, of a name or of a longer group of groups it is something else.
    return !Text.alphanumeric(before)
        && before != '_'
        && !((before == '.' || before == '-') && Text.digit(text.at(at - 2)));
  }

  /** Negative for none. */
  private static int end(Text text, int from) {
    StringBuilder digits = new StringBuilder();
    int at = from;
    while (digits.length() <= MOST && Text.digit(text.at(at))) {
      digits.append((char) text.at(at++));
    }
    int separator = text.at(at);
    if (digits.length() == 4 && (separator == ' ' || separator == '-')) {
      int fours = grouped(text, from, separator, FOURS);
      return fours > 0 ? fours : grouped(text, from, separator, LONGER);
    }
    return ends(text, at) && valid(digits) ? at : -1;
  }

  private static int grouped(Text text, int from, int separator, int[] groups) {
    StringBuilder digits = new StringBuilder();
    int at = from;
    for (int group = 0; group < groups.length; group++) {
      if (group > 0) {
        if (text.at(at) != separator || !Text.digit(text.at(at + 1))) {
          break;
        }
        at++;
      }
      for (int i = 0; i < groups[group] && Text.digit(text.at(at)); i++) {
        digits.append((char) text.at(at++));
      }
    }
    boolean more = text.at(at) == separator && Text.digit(text.at(at + 1));
    return !more && ends(text, at) && valid(digits) ? at : -1;
  }

  private static boolean ends(Text text, int at) {
    int after = text.at(at);
    return !Text.alphanumeric(after)
        && after != '_'
        && !((after == '.' || after == '-') && Text.digit(text.at(at + 1)));
  }

  private static boolean valid(CharSequence digits) {
    int length = digits.length();
    return length >= FEWEST && length <= MOST && network(digits, length) && luhn(digits);
  }

  private static boolean network(CharSequence digits, int length) {
    int four = Integer.parseInt(digits, 0, 4, 10);
    int two = four / 100;
    int three = four / 10;
    if (digits.charAt(0) == '4') {
      return length == 13 || length == 16 || length == 19;
    }
    if (two == 34 || two == 37) {
      return length == 15;
    }
    if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) {
      return length == 16;
    }
    if (two == 36 || two == 38 || two == 39 || (three >= 300 && three <= 305)) {
      return length >= 14;
    }
    // JCB, Discover, UnionPay, Maestro.
    return (four >= 3528 && four <= 3589 && length >= 16)
        || ((four == 6011 || two == 65 || (three >= 644 && three <= 649)) && length >= 16)
        || (two == 62 && length >= 16)
        || ((two == 50 || (two >= 56 && two <= 58) || two == 63 || two == 67) && length >= 13);
  }

  /** ISO/IEC 7812-1, annex B. */
  private static boolean luhn(CharSequence digits) {
    int sum = 0;
    for (int i = digits.length() - 1, place = 0; i >= 0; i--, place++) {
      int digit = (digits.charAt(i) - '0') * (place % 2 + 1);
      sum += digit > 9 ? digit - 9 : digit;
    }
    return sum % 10 == 0;
  }
}
