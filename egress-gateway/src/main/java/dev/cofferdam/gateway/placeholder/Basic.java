package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.kit.http.Header;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Optional;

/**
 * Credentials of RFC 7617, decoded. Bytes are kept as they are: one character stands for one byte.
 *
 * @param scheme as written, with the blanks behind it
 */
public record Basic(String scheme, String username, String password) {
  /** Empty for another header, another scheme, or what is no base64. */
  public static Optional<Basic> of(Header header) {
    String value = header.value();
    if (!header.is("authorization") || !value.regionMatches(true, 0, "basic ", 0, 6)) {
      return Optional.empty();
    }
    int start = 6;
    while (start < value.length() && value.charAt(start) == ' ') {
      start++;
    }
    byte[] decoded;
    try {
      decoded = Base64.getDecoder().decode(value.substring(start).strip());
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
    String text = new String(decoded, StandardCharsets.ISO_8859_1);
    int colon = text.indexOf(':');
    return colon < 0
        ? Optional.empty()
        : Optional.of(
            new Basic(
                value.substring(0, start), text.substring(0, colon), text.substring(colon + 1)));
  }
}
