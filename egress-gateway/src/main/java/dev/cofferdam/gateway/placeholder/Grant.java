package dev.cofferdam.gateway.placeholder;

import java.util.List;

/**
 * One secret that one sandbox may use.
 *
 * @param secret its name
 * @param placeholder the only thing known of it here: its hash
 * @param weak the value is short enough to be guessed from what the scrubber leaves
 */
public record Grant(
    String id, String secret, PlaceholderHash placeholder, List<Binding> bindings, boolean weak) {
  public Grant {
    bindings = List.copyOf(bindings);
  }
}
