package dev.cofferdam.gateway.placeholder;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * The pairs of a query or of a form, as the URL standard has them ({@code
 * application/x-www-form-urlencoded}). Where readers differ, a pair has a fault: a name that stands
 * twice, a semicolon, which some take for the end of a pair, an escape that is none, a character
 * that has to be escaped.
 */
final class Pairs {
  private Pairs() {}

  /**
   * @param text one character for each byte
   * @param target what a name makes
   */
  static Parsed parse(String text, Function<String, Target> target) {
    Map<String, Integer> names = new HashMap<>();
    String[] pairs = text.split("&", -1);
    for (String pair : pairs) {
      names.merge(decoded(name(pair)), 1, Integer::sum);
    }
    List<Part> parts = new ArrayList<>();
    Template template = new Template();
    for (int i = 0; i < pairs.length; i++) {
      template.literal(i == 0 ? "" : "&");
      String pair = pairs[i];
      String name = decoded(name(pair));
      parts.add(Part.of(target.apply("").kind(), name));
      if (name(pair).length() == pair.length()) {
        template.literal(pair);
        continue;
      }
      String raw = pair.substring(name(pair).length() + 1);
      Part part =
          new Part(target.apply(name), decoded(raw), fault(pair, names.getOrDefault(name, 0)));
      parts.add(part);
      template.literal(name(pair)).literal("=");
      if (part.fault().isEmpty() && !part.found().isEmpty()) {
        template.text(part.text(), Escape.PERCENT);
      } else {
        template.literal(raw);
      }
    }
    return new Parsed(parts, template);
  }

  static String decodedName(String pair) {
    return decoded(name(pair));
  }

  private static String name(String pair) {
    int equals = pair.indexOf('=');
    return equals < 0 ? pair : pair.substring(0, equals);
  }

  private static String fault(String pair, int times) {
    if (times > 1) {
      return "which stands " + times + " times";
    }
    if (pair.indexOf(';') >= 0) {
      return "with a semicolon beside it";
    }
    return Percent.proper(pair) ? "" : "with an escape that is none";
  }

  private static String decoded(String text) {
    return Percent.decode(text.replace('+', ' '));
  }
}
