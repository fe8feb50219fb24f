package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.kit.egress.PlaceholderForm;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * One secret that one sandbox may use.
 *
 * @param secret its name
 * @param placeholder the only thing known of it here: its hash
 * @param inherited further placeholders that stand for it, since the sandbox is a copy of another
 * @param shape of its placeholders, where that is not the usual one
 * @param weak the value is short enough to be guessed from what the scrubber leaves
 */
public record Grant(
    String id,
    String secret,
    PlaceholderHash placeholder,
    Set<PlaceholderHash> inherited,
    List<Binding> bindings,
    boolean weak,
    Optional<Shape> shape) {
  /** What stands around the core of each of its placeholders, and belongs to it. */
  public record Shape(String prefix, int length) {}

  public Grant {
    inherited = Set.copyOf(inherited);
    bindings = List.copyOf(bindings);
  }

  /** Of the core that was found. */
  String whole(String core) {
    return shape
        .filter(_ -> Candidates.shaped(core))
        .map(wanted -> PlaceholderForm.whole(wanted.prefix(), core, wanted.length()))
        .orElse(core);
  }

  /** Where a placeholder of this grant stands, by what becomes of it there. */
  Target place(Target found) {
    Target signed =
        switch (found) {
          case Target.Header(String name) -> new Target.Hmac(name);
          case Target.Query(String name) -> new Target.HmacQuery(name);
          default -> found;
        };
    return hmac(signed).isPresent() ? signed : found;
  }

  /** How it signs into a part of requests; alike in all of its bindings. */
  public Optional<Hmac> hmac(Target target) {
    return bindings.stream()
        .filter(binding -> binding.targets().contains(target))
        .flatMap(binding -> binding.hmac().stream())
        .findFirst();
  }

  /** It is looked up for each placeholder of each request, and may hold hundreds of hashes. */
  @Override
  public int hashCode() {
    return id.hashCode();
  }
}
