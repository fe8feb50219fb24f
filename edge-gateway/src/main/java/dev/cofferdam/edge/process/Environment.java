package dev.cofferdam.edge.process;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a session has changed of its sandbox's environment. Processes that it starts later have it;
 * it ends with the session. Safe for use by several threads.
 */
final class Environment {
  /** By name; empty: deleted. */
  private final Map<String, Optional<String>> changes = new LinkedHashMap<>();

  synchronized void set(String name, String value) {
    changes.put(name, Optional.of(value));
  }

  synchronized void delete(String name) {
    changes.put(name, Optional.empty());
  }

  synchronized Map<String, String> over(Map<String, String> base) {
    Map<String, String> all = new LinkedHashMap<>(base);
    changes.forEach((name, value) -> {
      if (value.isPresent()) {
        all.put(name, value.get());
      } else {
        all.remove(name);
      }
    });
    return all;
  }

  synchronized List<String> deleted() {
    List<String> names = new ArrayList<>();
    changes.forEach((name, value) -> {
      if (value.isEmpty()) {
        names.add(name);
      }
    });
    return names;
  }
}
