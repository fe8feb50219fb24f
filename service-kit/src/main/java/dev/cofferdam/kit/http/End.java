package dev.cofferdam.kit.http;

/** The end of a message, behind its body. */
public record End(Headers trailers) {
  private static final End PLAIN = new End(Headers.none());

  public static End plain() {
    return PLAIN;
  }
}
