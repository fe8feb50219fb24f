package dev.cofferdam.gateway.placeholder;

import java.util.List;
import java.util.Set;

/**
 * One secret that one sandbox may use.
 *
 * @param secret its name
 * @param placeholder the only thing known of it here: its hash
 * @param inherited further placeholders that stand for it, since the sandbox is a copy of another
 * @param weak the value is short enough to be guessed from what the scrubber leaves
 */
public record Grant(
    String id,
    String secret,
    PlaceholderHash placeholder,
    Set<PlaceholderHash> inherited,
    List<Binding> bindings,
    boolean weak) {
  public Grant {
    inherited = Set.copyOf(inherited);
    bindings = List.copyOf(bindings);
  }

  /** It is looked up for each placeholder of each request, and may hold hundreds of hashes. */
  @Override
  public int hashCode() {
    return id.hashCode();
  }
}
