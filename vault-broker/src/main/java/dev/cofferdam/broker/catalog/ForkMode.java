package dev.cofferdam.broker.catalog;

/** What becomes of a placeholder in a copy of the sandbox that it was made for. */
public enum ForkMode {
  /** It is dead there. */
  DROP("drop"),
  /** It works there too, under the copy's own grant. */
  INHERIT("inherit");

  private final String text;

  ForkMode(String text) {
    this.text = text;
  }

  /** As the database has it. */
  String text() {
    return text;
  }

  static ForkMode of(String text) {
    return switch (text) {
      case "drop" -> DROP;
      case "inherit" -> INHERIT;
      default -> throw new IllegalArgumentException(text + ", expected drop or inherit");
    };
  }
}
