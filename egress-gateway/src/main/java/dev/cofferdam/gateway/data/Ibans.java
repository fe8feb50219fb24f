package dev.cofferdam.gateway.data;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** ISO 13616, with the lengths of SWIFT's registry. */
final class Ibans implements Detector {
  private static final String LENGTHS =
      "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27"
          + " DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21"
          + " HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27"
          + " MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24"
          + " RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22"
          + " VG24 XK20 YE30";

  private static final Map<String, Integer> LENGTH = new HashMap<>();

  static {
    for (String entry : LENGTHS.split(" ", -1)) {
      LENGTH.put(entry.substring(0, 2), Integer.parseInt(entry, 2, entry.length(), 10));
    }
  }

  @Override
  public Optional<Match> next(Text text, int from) {
    for (int at = from; at < text.length(); at++) {
      if (letter(text.at(at))
          && letter(text.at(at + 1))
          && Text.digit(text.at(at + 2))
          && Text.digit(text.at(at + 3))
          && !Text.alphanumeric(text.at(at - 1))) {
        int end = end(text, at);
        if (end > 0) {
          return Optional.of(new Match(at, end));
        }
      }
    }
    return Optional.empty();
  }

  private static boolean letter(int c) {
    return Text.upper(c) || (c >= 'a' && c <= 'z');
  }

  /** Negative for none. */
  private static int end(Text text, int from) {
    Integer length = LENGTH.get(text.part(from, from + 2).toUpperCase(Locale.ROOT));
    if (length == null) {
      return -1;
    }
    StringBuilder iban = new StringBuilder();
    boolean grouped = text.at(from + 4) == ' ';
    int at = from;
    while (iban.length() < length) {
      if (grouped && iban.length() > 0 && iban.length() % 4 == 0) {
        if (text.at(at) != ' ') {
          return -1;
        }
        at++;
      }
      if (!Text.alphanumeric(text.at(at))) {
        return -1;
      }
      iban.append((char) text.at(at++));
    }
    return !Text.alphanumeric(text.at(at)) && checked(iban) ? at : -1;
  }

  /** ISO/IEC 7064, MOD 97-10, over the text with its first four characters put last. */
  private static boolean checked(CharSequence iban) {
    int rest = 0;
    for (int i = 0; i < iban.length(); i++) {
      int value = Character.digit(iban.charAt((i + 4) % iban.length()), 36);
      rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
    }
    return rest == 1;
  }
}
