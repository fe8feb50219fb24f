package dev.cofferdam.gateway;

import java.util.Locale;
import java.util.Optional;

/** An answer as a raw client read it, up to the end of the connection or of its body. */
record Answer(String head, String body) {
  static Answer parse(String text) {
    int end = text.indexOf("\r\n\r\n");
    if (end < 0) {
      return new Answer("", text);
    }
    return new Answer(text.substring(0, end + 2), text.substring(end + 4));
  }

  int status() {
    return head.startsWith("HTTP/1.1 ") ? Integer.parseInt(head.substring(9, 12)) : 0;
  }

  Optional<String> header(String name) {
    for (String line : head.split("\r\n", -1)) {
      if (line.toLowerCase(Locale.ROOT).startsWith(name + ":")) {
        return Optional.of(line.substring(name.length() + 1).strip());
      }
    }
    return Optional.empty();
  }

  String reason() {
    return header("cofferdam-reason").orElse("");
  }
}
