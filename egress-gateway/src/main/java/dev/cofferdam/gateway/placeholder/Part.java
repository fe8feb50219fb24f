package dev.cofferdam.gateway.placeholder;

import java.util.List;

/**
 * A part of a request, decoded as its format has it.
 *
 * @param text one character for each byte
 * @param fault why two readers could take it for different things, so that no secret may be put
 *     into it; empty for none
 */
public record Part(Target target, String text, String fault) {
  static Part of(Target target, String text) {
    return new Part(target, text, "");
  }

  List<Candidates.Found> found() {
    return Candidates.in(text);
  }
}
