package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.gateway.scrub.SecretValue;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** A value that would be more than itself wherever it is written as it is. */
final class HostileValue {
  static final String TEXT = "\"\\\r\n--b--\r\n&a=b;%41+/../?#{}\t'";

  private HostileValue() {}

  /** The first placeholder in it that is one by itself; empty for none. */
  static String placeholder(List<Part> parts) {
    return parts.stream()
        .flatMap(part -> part.found().stream())
        .map(Candidates.Found::placeholder)
        .findFirst()
        .orElse("");
  }

  /** What the template becomes with it, one character for each byte. */
  static String render(Template template, String placeholder)
      throws Template.UnrepresentableException {
    try (SecretValue value = new SecretValue(TEXT.length())) {
      for (int i = 0; i < TEXT.length(); i++) {
        value.set(i, (byte) TEXT.charAt(i));
      }
      return text(template.render(placeholder.isEmpty() ? Map.of() : Map.of(placeholder, value)));
    }
  }

  private static String text(SecretValue rendered) {
    try (rendered) {
      byte[] bytes = new byte[rendered.length()];
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] = (byte) rendered.at(i);
      }
      return new String(bytes, StandardCharsets.ISO_8859_1);
    }
  }

  /** What a part is with it; a part that may not be filled stays. */
  static Part filled(Part part, String placeholder) {
    return placeholder.isEmpty()
            || !part.fault().isEmpty()
            || part.target() instanceof Target.Elsewhere
        ? part
        : new Part(part.target(), part.text().replace(placeholder, TEXT), "");
  }
}
