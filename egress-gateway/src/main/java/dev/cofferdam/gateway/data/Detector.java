package dev.cofferdam.gateway.data;

import com.google.re2j.Matcher;
import com.google.re2j.Pattern;
import dev.cofferdam.v1.DataDetector;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** Looks for one kind of data. Keeps no state. */
interface Detector {
  /** Where a match begins and where what follows it begins. */
  record Match(int start, int end) {}

  /** The first match that begins at or behind a place, for which what stands before is seen too. */
  Optional<Match> next(Text text, int from);

  static Detector of(DataDetector kind) {
    return switch (kind) {
      case DATA_DETECTOR_CREDENTIALS -> new CredentialForms();
      case DATA_DETECTOR_PRIVATE_KEYS -> new PrivateKeys();
      case DATA_DETECTOR_CARD_NUMBERS -> new CardNumbers();
      case DATA_DETECTOR_EMAIL_ADDRESSES -> new EmailAddresses();
      case DATA_DETECTOR_IBANS -> new Ibans();
      case DATA_DETECTOR_PHONE_NUMBERS -> new PhoneNumbers();
      case DATA_DETECTOR_UNSPECIFIED, UNRECOGNIZED ->
          throw new IllegalArgumentException("detector " + kind + " is unknown");
    };
  }

  /** What it costs for each byte of a text that is made to cost most, in those of a pattern. */
  static int steps(DataDetector kind) {
    return switch (kind) {
      case DATA_DETECTOR_CREDENTIALS,
          DATA_DETECTOR_PRIVATE_KEYS,
          DATA_DETECTOR_CARD_NUMBERS,
          DATA_DETECTOR_IBANS ->
          2;
      case DATA_DETECTOR_EMAIL_ADDRESSES -> 8;
      // The library looks at what may be one for microseconds, and nine bytes may.
      case DATA_DETECTOR_PHONE_NUMBERS -> 64;
      case DATA_DETECTOR_UNSPECIFIED, UNRECOGNIZED ->
          throw new IllegalArgumentException("detector " + kind + " is unknown");
    };
  }

  /** How it is told: {@code email_addresses}. */
  static String name(DataDetector kind) {
    return kind.name().substring("DATA_DETECTOR_".length()).toLowerCase(Locale.ROOT);
  }

  /** A pattern of the tenant's. */
  static Detector of(Pattern pattern) {
    return (text, from) -> {
      byte[] bytes =
          text.bytes().length == text.length()
              ? text.bytes()
              : Arrays.copyOf(text.bytes(), text.length());
      Matcher matcher = pattern.matcher(bytes);
      for (int at = from; at <= text.length() && matcher.find(at); at = matcher.end() + 1) {
        if (matcher.end() > matcher.start()) {
          return Optional.of(new Match(matcher.start(), matcher.end()));
        }
      }
      return Optional.empty();
    };
  }
}
