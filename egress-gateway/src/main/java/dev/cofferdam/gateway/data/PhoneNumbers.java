package dev.cofferdam.gateway.data;

import com.google.i18n.phonenumbers.PhoneNumberMatch;
import com.google.i18n.phonenumbers.PhoneNumberUtil;
import java.util.Iterator;
import java.util.Optional;

/** International numbers, ITU-T E.123, of ranges that are in use. */
final class PhoneNumbers implements Detector {
  private static final PhoneNumberUtil LIBRARY = PhoneNumberUtil.getInstance();

  /** A number of fifteen digits with what is put between them. */
  private static final int MAX_LENGTH = 40;

  private static final int FEWEST_DIGITS = 7;
  private static final String BETWEEN = " -./()";

  @Override
  public Optional<Match> next(Text text, int from) {
    for (int at = from; at < text.length(); at++) {
      if (text.at(at) == '+' && !Text.alphanumeric(text.at(at - 1)) && digits(text, at + 1)) {
        // The library looks at what follows, too.
        String part = text.part(at, Math.min(text.length(), at + MAX_LENGTH));
        Iterator<PhoneNumberMatch> found =
            LIBRARY.findNumbers(part, "ZZ", PhoneNumberUtil.Leniency.VALID, 1).iterator();
        if (found.hasNext()) {
          PhoneNumberMatch match = found.next();
          if (match.start() == 0) {
            return Optional.of(new Match(at, at + match.end()));
          }
        }
      }
    }
    return Optional.empty();
  }

  /** Whether enough of them follow for the library to be asked. */
  private static boolean digits(Text text, int from) {
    int digits = 0;
    for (int at = from; at < from + MAX_LENGTH && digits < FEWEST_DIGITS; at++) {
      int c = text.at(at);
      if (Text.digit(c)) {
        digits++;
      } else if (c < 0 || BETWEEN.indexOf(c) < 0) {
        return false;
      }
    }
    return digits == FEWEST_DIGITS;
  }
}
