package dev.cofferdam.gateway.placeholder;

import java.util.List;

/**
 * A piece of a request that has parts.
 *
 * @param parts all of them, in their order
 * @param template of the whole, in which those parts can be filled that may be
 */
public record Parsed(List<Part> parts, Template template) {
  public Parsed {
    parts = List.copyOf(parts);
  }
}
