package dev.cofferdam.gateway.placeholder;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The path and the query of a request, in parts: each segment, each parameter. */
public final class RequestTarget {
  private RequestTarget() {}

  /**
   * @param target as it came, of visible ASCII
   */
  public static Parsed parse(String target) {
    int question = target.indexOf('?');
    String path = question < 0 ? target : target.substring(0, question);
    List<Part> parts = new ArrayList<>();
    Template template = new Template();
    String[] segments = path.split("/", -1);
    for (int i = 0; i < segments.length; i++) {
      String segment = segments[i];
      Part part = segment(segment);
      parts.add(part);
      template.literal(i == 0 ? "" : "/");
      if (part.fault().isEmpty() && !part.found().isEmpty()) {
        template.text(part.text(), Escape.SEGMENT);
      } else {
        template.literal(segment);
      }
    }
    if (question >= 0) {
      Parsed query = Pairs.parse(target.substring(question + 1), Target.Query::new);
      parts.addAll(query.parts());
      template.literal("?").append(query.template());
    }
    return new Parsed(parts, template);
  }

  /**
   * The same without a parameter.
   *
   * @param name decoded
   */
  public static String without(String target, String name) {
    int question = target.indexOf('?');
    if (question < 0) {
      return target;
    }
    String left =
        Stream.of(target.substring(question + 1).split("&", -1))
            .filter(pair -> !Pairs.decodedName(pair).equals(name))
            .collect(Collectors.joining("&"));
    return target.substring(0, question) + (left.isEmpty() ? "" : "?" + left);
  }

  private static Part segment(String segment) {
    String fault =
        segment.indexOf(';') >= 0
            ? "with a semicolon beside it"
            : Percent.proper(segment) ? "" : "with an escape that is none";
    return new Part(new Target.Path(), Percent.decode(segment), fault);
  }

  /** The path with no placeholder in it, to be told to others. */
  public static String shownPath(String path) {
    if (Candidates.in(path).isEmpty()) {
      return path;
    }
    return String.join(
        "/",
        Stream.of(path.split("/", -1))
            .map(segment -> segment(segment).found().isEmpty() ? segment : "[placeholder]")
            .toList());
  }
}
