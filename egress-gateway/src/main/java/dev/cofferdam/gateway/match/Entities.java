package dev.cofferdam.gateway.match;

/** The entities that template engines write for characters that HTML gives a meaning to. */
final class Entities {
  private Entities() {}

  /**
   * @param name between {@code &} and {@code ;}
   * @return the byte it stands for, or -1
   */
  static int value(String name) {
    return switch (name) {
      case "amp" -> '&';
      case "lt" -> '<';
      case "gt" -> '>';
      case "quot" -> '"';
      case "apos" -> '\'';
      case "sol" -> '/';
      case "equals" -> '=';
      case "plus" -> '+';
      default -> numeric(name);
    };
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
