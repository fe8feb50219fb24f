package dev.cofferdam.kit.egress;

import java.text.Normalizer;
import java.util.Arrays;
import java.util.List;

/**
 * A request's path as a policy sees it: decoded once, in segments, without a slash at its end.
 * There is none for a path that servers resolve in different ways.
 *
 * @param text the decoded path, from / on
 */
public record RequestPath(String text, List<String> segments) {
  public RequestPath {
    segments = List.copyOf(segments);
  }

  /**
   * @param raw without the query
   */
  public static RequestPath parse(String raw) throws AmbiguousException {
    if (raw.equals("*")) {
      throw new AmbiguousException("the request is for the server as a whole and has no path");
    }
    return checked(raw, Percent.decoded(raw));
  }

  static RequestPath checked(String raw, String decoded) throws AmbiguousException {
    // Escapes of what divides a path: some servers divide first, some decode first, some twice.
    for (int i = 0; i < decoded.length(); i++) {
      char c = decoded.charAt(i);
      if (c == '\\' || c == ';' || c == '%' || c == '?' || c == '#' || Character.isISOControl(c)) {
        throw new AmbiguousException("the path has a character that servers read differently");
      }
    }
    if (count(decoded) != count(raw)) {
      throw new AmbiguousException("the path has an escaped slash");
    }
    if (!Normalizer.isNormalized(decoded, Normalizer.Form.NFKC)) {
      throw new AmbiguousException("the path is not in Unicode's form NFKC");
    }
    String[] parts = decoded.substring(1).split("/", -1);
    int last = parts[parts.length - 1].isEmpty() ? parts.length - 1 : parts.length;
    List<String> segments = Arrays.asList(parts).subList(0, last);
    for (String segment : segments) {
      if (segment.isEmpty() || segment.equals(".") || segment.equals("..")) {
        throw new AmbiguousException("the path has an empty, '.' or '..' segment");
      }
    }
    return new RequestPath("/" + String.join("/", segments), segments);
  }

  private static long count(String text) {
    return text.chars().filter(c -> c == '/').count();
  }
}
