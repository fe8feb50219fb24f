package dev.cofferdam.kit.egress;

/** Foreign text inside a message for people. */
final class Shown {
  private Shown() {}

  static String of(String text) {
    String printable = text.replaceAll("[^\\x20-\\x7e]", "?");
    return printable.length() <= 80 ? printable : printable.substring(0, 80) + "…";
  }
}
