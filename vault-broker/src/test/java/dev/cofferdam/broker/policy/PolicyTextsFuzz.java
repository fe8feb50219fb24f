package dev.cofferdam.broker.policy;

import dev.cofferdam.kit.egress.PathPattern;
import dev.cofferdam.kit.egress.SigningTemplate;
import dev.cofferdam.kit.egress.SigningTemplate.Variable;
import dev.cofferdam.kit.error.Refusal;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.function.UnaryOperator;

/**
 * Whatever a tenant writes where a policy or a binding has text of a form of its own: it is refused
 * in the API's words, or means what it is written as.
 */
public final class PolicyTextsFuzz {
  private PolicyTextsFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    String text = new String(input, StandardCharsets.UTF_8);
    again(text, t -> HostPattern.parse(t).toString());
    again(text, t -> Target.parse(t).text());
    again(text, t -> Cidr.parse(t).toString());
    again(text, t -> PathPattern.parse(t).text());
    again(text, PolicyTextsFuzz::template);
  }

  private static void again(String text, UnaryOperator<String> read) {
    String once;
    try {
      once = read.apply(text);
    } catch (Refusal | IllegalArgumentException e) {
      if (e.getMessage() == null || e.getMessage().chars().anyMatch(Character::isISOControl)) {
        throw new AssertionError("refused with " + e.getMessage(), e);
      }
      return;
    }
    String twice = read.apply(once);
    if (!twice.equals(once)) {
      throw new AssertionError(text + " is " + once + ", which is " + twice);
    }
  }

  /** Its pieces in the template's own form. */
  private static String template(String text) {
    StringBuilder written = new StringBuilder();
    for (SigningTemplate.Piece piece :
        SigningTemplate.parse(text, EnumSet.complementOf(EnumSet.of(Variable.TEXT))).pieces()) {
      written.append(
          switch (piece.variable()) {
            case TEXT -> piece.text();
            case HEADER -> "{header:" + piece.text() + "}";
            case BODY_SHA256 -> "{body:sha256}";
            default -> "{" + piece.variable().name().toLowerCase(java.util.Locale.ROOT) + "}";
          });
    }
    if (!written.toString().equals(text)) {
      throw new AssertionError(text + " read as " + written);
    }
    return text;
  }
}
