package dev.cofferdam.gateway.match;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The entities that template engines write for characters that HTML gives a meaning to. */
final class Entities {
  private static final Map<String, Character> NAMED =
      Map.of(
          "amp", '&', "lt", '<', "gt", '>', "quot", '"', "apos", '\'', "sol", '/', "equals", '=',
          "plus", '+');

  private Entities() {}

  /**
   * @param name between {@code &} and {@code ;}
   * @return the byte it stands for, or -1
   */
  static int value(String name) {
    @Nullable Character named = NAMED.get(name);
    return named == null ? numeric(name) : named;
  }

  /** Those that stand for a byte. */
  static List<String> names(int value) {
    return NAMED.entrySet().stream()
        .filter(named -> named.getValue() == value)
        .map(Map.Entry::getKey)
        .toList();
  }

  private static int numeric(String name) {
    if (name.length() < 2 || name.charAt(0) != '#') {
      return -1;
    }
    boolean hex = name.charAt(1) == 'x' || name.charAt(1) == 'X';
    try {
      int value = Integer.parseInt(name.substring(hex ? 2 : 1), hex ? 16 : 10);
      return value > 255 ? -1 : value;
    } catch (NumberFormatException e) {
      return -1;
    }
  }
}
