package dev.cofferdam.kit.egress;

import java.util.ArrayList;
import java.util.List;

/**
 * A pattern over the segments of a path: {@code *} within a segment, {@code **} as a segment for
 * any number of them.
 */
public record PathPattern(String text, List<Glob> segments) {
  private static final int MAX_LENGTH = 1024;
  private static final Glob ANY = new Glob("**");

  public PathPattern {
    segments = List.copyOf(segments);
  }

  /**
   * @throws IllegalArgumentException naming the text and what was expected
   */
  public static PathPattern parse(String text) {
    if (!text.startsWith("/") || text.length() > MAX_LENGTH) {
      throw invalid(text, "expected a path of at most " + MAX_LENGTH + " characters from / on");
    }
    List<String> segments;
    try {
      // What a request's path can never be once it is decoded would match nothing.
      segments = RequestPath.checked(text, text).segments();
    } catch (AmbiguousException e) {
      throw invalid(text, "which no request's decoded path can be: " + e.getMessage());
    }
    List<Glob> globs = new ArrayList<>();
    for (String segment : segments) {
      if (segment.contains("**") && !segment.equals("**")) {
        throw invalid(text, "expected ** as a segment of its own");
      }
      globs.add(new Glob(segment));
    }
    return new PathPattern(text, globs);
  }

  public boolean matches(RequestPath path) {
    List<String> values = path.segments();
    return Glob.matches(
        segments.size(),
        values.size(),
        i -> segments.get(i).equals(ANY),
        (i, j) -> segments.get(i).matches(values.get(j)));
  }

  private static IllegalArgumentException invalid(String text, String expected) {
    return new IllegalArgumentException("the path '%s', %s".formatted(Shown.of(text), expected));
  }
}
