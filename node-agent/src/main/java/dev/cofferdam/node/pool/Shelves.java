package dev.cofferdam.node.pool;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What the pool holds now, by template. Not safe for use by several threads. */
final class Shelves {
  private static final class Shelf {
    /** The one paused last is the warmest: it goes first. */
    private final Deque<Pooled.Restored> restored = new ArrayDeque<>();

    private final Deque<Pooled.Waiting> waiting = new ArrayDeque<>();
  }

  private final Map<String, Shelf> shelves = new HashMap<>();

  void put(Pooled pooled) {
    Shelf shelf = shelf(pooled.template().name());
    switch (pooled) {
      case Pooled.Restored restored -> shelf.restored.push(restored);
      case Pooled.Waiting waiting -> shelf.waiting.push(waiting);
    }
  }

  /** The best there is. */
  Optional<Pooled> take(String template) {
    Shelf shelf = shelf(template);
    return Optional.<Pooled>ofNullable(shelf.restored.poll())
        .or(() -> Optional.ofNullable(shelf.waiting.poll()));
  }

  Optional<Pooled.Waiting> takeWaiting(String template) {
    return Optional.ofNullable(shelf(template).waiting.poll());
  }

  /** What is missed least: of a template with more restored than wanted, one of these. */
  Optional<Pooled> takeWorst(String template) {
    Shelf shelf = shelf(template);
    return Optional.<Pooled>ofNullable(shelf.waiting.pollLast())
        .or(() -> Optional.ofNullable(shelf.restored.pollLast()));
  }

  boolean remove(Pooled pooled) {
    Shelf shelf = shelf(pooled.template().name());
    return shelf.restored.remove(pooled) || shelf.waiting.remove(pooled);
  }

  /** Takes out all but those of these templates. */
  List<Pooled> keep(Set<String> templates) {
    List<Pooled> others = new ArrayList<>();
    shelves.forEach((template, shelf) -> {
      if (!templates.contains(template)) {
        others.addAll(shelf.restored);
        others.addAll(shelf.waiting);
      }
    });
    shelves.keySet().retainAll(templates);
    return others;
  }

  Collection<String> templates() {
    return List.copyOf(shelves.keySet());
  }

  int restored(String template) {
    Shelf shelf = shelves.get(template);
    return shelf == null ? 0 : shelf.restored.size();
  }

  int waiting(String template) {
    Shelf shelf = shelves.get(template);
    return shelf == null ? 0 : shelf.waiting.size();
  }

  private Shelf shelf(String template) {
    return shelves.computeIfAbsent(template, _ -> new Shelf());
  }
}
