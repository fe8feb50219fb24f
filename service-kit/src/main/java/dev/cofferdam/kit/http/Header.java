package dev.cofferdam.kit.http;

/** One header line, its name in the case it came in. */
public record Header(String name, String value) {
  /**
   * @param lowerCase a name in lower case
   */
  public boolean is(String lowerCase) {
    return name.equalsIgnoreCase(lowerCase);
  }
}
