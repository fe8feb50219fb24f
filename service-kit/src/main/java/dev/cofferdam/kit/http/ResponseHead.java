package dev.cofferdam.kit.http;

/**
 * An answer without its body.
 *
 * @param bodyLength in bytes; 0 for none, -1 where only its end tells
 */
public record ResponseHead(int status, Headers headers, long bodyLength) {
  public ResponseHead {
    if (status < 100 || status > 999) {
      throw new IllegalArgumentException("status " + status + ", expected 100 to 999");
    }
  }

  public boolean informational() {
    return status < 200;
  }
}
