package dev.cofferdam.edge.sandbox;

import dev.cofferdam.edge.protocol.HttpError;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Ids as the JavaScript SDK demands them, {@code sbx_<region>_} and 20 characters without i, l and
 * o, against the mesh's, {@code sb-} and 20 characters of [a-z2-7]. Each is the other's text with
 * three letters changed: nothing has to be kept.
 */
public final class SandboxIds {
  private static final Pattern FOREIGN = Pattern.compile("sbx_[a-z]{3}_([0-8a-hjkmnp-z]{20})");
  private static final String OURS = "ilo";
  private static final String THEIRS = "018";

  private SandboxIds() {}

  /**
   * @param region three letters
   */
  public static String foreign(String region, String id) {
    return "sbx_" + region + "_" + mapped(id.substring("sb-".length()), OURS, THEIRS);
  }

  public static String own(String foreign) throws HttpError {
    Matcher matcher = FOREIGN.matcher(foreign);
    if (!matcher.matches()) {
      throw HttpError.sandboxNotFound(
          foreign.length() > 64 ? foreign.substring(0, 64) + "…" : foreign);
    }
    return "sb-" + mapped(matcher.group(1), THEIRS, OURS);
  }

  private static String mapped(String text, String from, String to) {
    StringBuilder mapped = new StringBuilder(text);
    for (int i = 0; i < text.length(); i++) {
      int index = from.indexOf(text.charAt(i));
      if (index >= 0) {
        mapped.setCharAt(i, to.charAt(index));
      }
    }
    return mapped.toString();
  }
}
