package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.egress.PlaceholderForm;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.PlaceholderAlphabet;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * What a secret's placeholders look like, so that clients which check the form of their keys take
 * them.
 *
 * @param prefix what real keys begin with
 * @param length of all of it
 * @param form of what follows the prefix
 */
public record PlaceholderShape(String prefix, int length, PlaceholderForm form) {
  public static final int MAX_LENGTH = 512;

  private static final Pattern PREFIX = Pattern.compile("[A-Za-z0-9._-]{0,256}");

  public PlaceholderShape {
    if (!PREFIX.matcher(prefix).matches()) {
      throw invalid(
          "begin with what is none of letters, digits, '.', '_' and '-', or more than 256 of them");
    }
    for (PlaceholderForm each : PlaceholderForm.values()) {
      if (prefix.toLowerCase(Locale.ROOT).contains(each.mark())) {
        throw invalid("have the prefix '%s', which holds a mark".formatted(prefix));
      }
    }
    if (form == PlaceholderForm.USUAL) {
      throw invalid("are in no alphabet, expected one");
    }
    int least = prefix.length() + form.length();
    if (length < least || length > MAX_LENGTH) {
      throw invalid(
          "have %d characters, expected %d to %d: the prefix, a mark of %d, and %d that nobody can guess"
              .formatted(length, least, MAX_LENGTH, form.mark().length(), form.tail()));
    }
  }

  /** A length of 0 is the least. */
  public static PlaceholderShape of(dev.cofferdam.v1.PlaceholderShape message) {
    PlaceholderForm form =
        switch (message.getAlphabet()) {
          case PLACEHOLDER_ALPHABET_UNSPECIFIED, PLACEHOLDER_ALPHABET_ALPHANUMERIC ->
              PlaceholderForm.ALPHANUMERIC;
          case PLACEHOLDER_ALPHABET_HEX -> PlaceholderForm.HEX;
          case UNRECOGNIZED -> throw invalid("are in an alphabet that is not known here");
        };
    int length =
        message.getLength() == 0
            ? message.getPrefix().length() + form.length()
            : message.getLength();
    return new PlaceholderShape(message.getPrefix(), length, form);
  }

  public dev.cofferdam.v1.PlaceholderShape message() {
    return dev.cofferdam.v1.PlaceholderShape.newBuilder()
        .setPrefix(prefix)
        .setLength(length)
        .setAlphabet(
            switch (form) {
              case HEX -> PlaceholderAlphabet.PLACEHOLDER_ALPHABET_HEX;
              case ALPHANUMERIC, USUAL -> PlaceholderAlphabet.PLACEHOLDER_ALPHABET_ALPHANUMERIC;
            })
        .build();
  }

  private static Refusal invalid(String why) {
    return new Refusal(
        ErrorReason.ERROR_REASON_BINDING_INVALID, "the secret's placeholders are to " + why);
  }
}
