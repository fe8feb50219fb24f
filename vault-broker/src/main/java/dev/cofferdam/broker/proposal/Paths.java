package dev.cofferdam.broker.proposal;

import dev.cofferdam.kit.egress.AmbiguousException;
import dev.cofferdam.kit.egress.PathPattern;
import dev.cofferdam.kit.egress.RequestPath;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** From the paths of requests to the patterns of a rule. Pure. */
final class Paths {
  /** More siblings than these are taken for names of things rather than for parts of an API. */
  static final int MAX_SIBLINGS = 8;

  private static final String ANY = "*";

  /** Numbers, UUIDs, digests, and whatever else is too long for a word. */
  private static final Pattern VARIABLE =
      Pattern.compile(
          "[0-9]+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
              + "|(?=[^0-9]*[0-9])[0-9a-f]{7,}|(?=[^0-9]*[0-9])[A-Za-z0-9_-]{20,}");

  private Paths() {}

  /**
   * The pattern for one path; empty for one that a rule's condition would refuse as ambiguous.
   *
   * @param raw as the guest sent it, without the query
   */
  static Optional<String> kind(String raw) {
    if (!raw.startsWith("/")) {
      return Optional.empty();
    }
    try {
      List<String> kinds =
          RequestPath.parse(raw).segments().stream().map(Paths::segmentKind).toList();
      String kind = joined(kinds);
      var _ = PathPattern.parse(kind);
      return Optional.of(kind);
    } catch (AmbiguousException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /** A guest that asks for a path of stars gets no more than the one segment each of them is. */
  private static String segmentKind(String segment) {
    return segment.contains(ANY) || VARIABLE.matcher(segment).matches() ? ANY : segment;
  }

  /** As few patterns as cover the kinds without covering other lengths or beginnings. */
  static List<String> merged(Collection<String> kinds) {
    Set<List<String>> merged = new LinkedHashSet<>();
    kinds.stream().sorted().forEach(kind -> merged.add(segments(kind)));
    int longest = merged.stream().mapToInt(List::size).max().orElse(0);
    for (int position = longest - 1; position >= 0; position--) {
      mergeSiblings(merged, position);
    }
    return merged.stream()
        .filter(one -> merged.stream().noneMatch(other -> !other.equals(one) && covers(other, one)))
        .map(Paths::joined)
        .toList();
  }

  private static void mergeSiblings(Set<List<String>> kinds, int position) {
    Map<List<String>, List<List<String>>> families = new LinkedHashMap<>();
    for (List<String> kind : kinds) {
      if (kind.size() > position) {
        List<String> family = new ArrayList<>(kind);
        family.set(position, ANY);
        families.computeIfAbsent(family, _ -> new ArrayList<>()).add(kind);
      }
    }
    families.forEach((family, members) -> {
      if (members.size() > MAX_SIBLINGS) {
        members.forEach(kinds::remove);
        kinds.add(family);
      }
    });
  }

  private static boolean covers(List<String> wide, List<String> narrow) {
    if (wide.size() != narrow.size()) {
      return false;
    }
    for (int i = 0; i < wide.size(); i++) {
      if (!wide.get(i).equals(ANY) && !wide.get(i).equals(narrow.get(i))) {
        return false;
      }
    }
    return true;
  }

  private static List<String> segments(String kind) {
    return kind.equals("/") ? List.of() : List.of(kind.substring(1).split("/"));
  }

  private static String joined(List<String> segments) {
    return "/" + String.join("/", segments);
  }
}
