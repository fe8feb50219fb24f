package dev.cofferdam.broker.secret;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.util.regex.Pattern;

/** What a secret's name and value have to be. Messages never tell anything of the value's bytes. */
public final class SecretRules {
  /** Shorter values can be found by echoing guesses and watching which ones are scrubbed. */
  public static final int MIN_LENGTH = 16;

  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9-]{0,62}");

  private SecretRules() {}

  public static String checkName(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "the secret's name is '" + printable(name) + "', expected " + NAME);
    }
    return name;
  }

  /**
   * Refuses what could not stand in a header (RFC 9110, section 5.5) and what is short enough to be
   * guessed.
   *
   * @param weak accepts 1 to 15 bytes
   */
  public static void checkValue(SecretValue value, boolean weak) {
    int min = weak ? 1 : MIN_LENGTH;
    if (value.length() < min) {
      throw invalid(
          "the value has %d bytes, expected %d to %d%s"
              .formatted(
                  value.length(),
                  min,
                  SecretValue.MAX_LENGTH,
                  weak ? "" : "; `weak` accepts shorter ones"));
    }
    for (int i = 0; i < value.length(); i++) {
      String forbidden =
          switch (value.at(i)) {
            case '\r' -> "CR";
            case '\n' -> "LF";
            case 0 -> "NUL";
            default -> "";
          };
      if (!forbidden.isEmpty()) {
        throw invalid(
            "the value contains " + forbidden + ", expected a value without CR, LF and NUL");
      }
    }
  }

  /**
   * Refuses what is no credential of AWS: an access key's id, a secret access key and perhaps a
   * session token, with colons between them; the first two of 16 characters at least.
   */
  public static void checkAwsCredential(SecretValue value) {
    int[] lengths = new int[3];
    int part = 0;
    boolean fits = true;
    for (int i = 0; i < value.length() && fits; i++) {
      byte unit = value.at(i);
      if (unit == ':') {
        part++;
        fits = part < lengths.length;
      } else {
        lengths[part]++;
        fits = part == 0 ? isWord(unit) : unit > 0x20 && unit < 0x7f;
      }
    }
    if (!fits
        || part == 0
        || lengths[0] < MIN_LENGTH
        || lengths[0] > 128
        || lengths[1] < MIN_LENGTH
        || (part == 2 && lengths[2] == 0)) {
      throw invalid(
          "the value is no credential of AWS, expected <access key id>:<secret access key>, or"
              + " those and :<session token>");
    }
  }

  private static boolean isWord(byte unit) {
    return unit == '_' || unit == '-' || unit == '.' || Character.isLetterOrDigit(unit);
  }

  /** The refusal of a value that is longer than any may be. */
  public static Refusal tooLong(long length) {
    return invalid(
        "the value has %d bytes, expected at most %d".formatted(length, SecretValue.MAX_LENGTH));
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID, message);
  }

  /** Somebody may have pasted the value where the name belongs: never say more than a beginning. */
  private static String printable(String name) {
    String start = name.length() <= 8 ? name : name.substring(0, 4) + "…";
    return start.replaceAll("[^\\x20-\\x7e…]", "?");
  }
}
