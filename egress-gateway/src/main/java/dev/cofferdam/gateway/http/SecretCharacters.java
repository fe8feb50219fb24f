package dev.cofferdam.gateway.http;

import dev.cofferdam.gateway.scrub.SecretValue;
import io.netty.handler.codec.http2.Http2HeadersEncoder;

/** A header's value that HPACK's encoder can read without its ever being on the heap. */
final class SecretCharacters implements CharSequence {
  /** RFC 7541 section 7.1.3: such a value enters no table, here or at any hop after. */
  static final Http2HeadersEncoder.SensitivityDetector NEVER_INDEXED =
      (_, value) -> value instanceof SecretCharacters;

  private final SecretValue value;

  SecretCharacters(SecretValue value) {
    this.value = value;
  }

  @Override
  public int length() {
    return value.length();
  }

  @Override
  public char charAt(int index) {
    return (char) value.at(index);
  }

  @Override
  public CharSequence subSequence(int start, int end) {
    throw new UnsupportedOperationException("a secret has no parts");
  }

  @Override
  public String toString() {
    throw new UnsupportedOperationException("a secret has no text form");
  }
}
