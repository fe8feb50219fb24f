package dev.cofferdam.edge.file;

import com.google.common.base.Splitter;
import dev.cofferdam.edge.protocol.SdkError;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.OptionalInt;

/**
 * A glob as the SDKs' {@code expandGlob} takes it, as a place to begin at and an expression of RE2
 * for whole paths. Its forms are those of Deno's {@code @std/path} but for {@code !(…)}, which RE2
 * cannot say.
 *
 * @param directory where all that matches lies in; no link in it is resolved
 * @param depth of the deepest that can match below it; empty where there is no deepest
 */
record Glob(String directory, OptionalInt depth, String expression, boolean directoriesAlone) {
  /**
   * @param extended whether {@code ?(…)}, {@code *(…)}, {@code +(…)} and {@code @(…)} are groups
   * @param globstar whether {@code **} stands for any number of directories
   */
  record Syntax(boolean extended, boolean globstar, boolean caseInsensitive) {}

  private static final String SPECIAL = "\\.^$|?*+()[]{}";

  /**
   * @param glob absolute
   */
  static Glob of(String glob, Syntax syntax) throws SdkError {
    List<String> segments = new ArrayList<>();
    for (String segment : Splitter.on('/').split(glob)) {
      switch (segment) {
        case "", "." -> {
          // Names no other place.
        }
        case ".." -> {
          if (!segments.isEmpty() && !isFixed(segments.removeLast())) {
            throw SdkError.notServed(".. after a part of a glob that may be many");
          }
        }
        default -> segments.add(segment);
      }
    }
    int fixed = 0;
    while (fixed < segments.size() - 1 && isFixed(segments.get(fixed))) {
      fixed++;
    }
    List<String> rest = segments.subList(fixed, segments.size());
    StringBuilder expression = new StringBuilder(syntax.caseInsensitive() ? "(?i)^" : "^");
    segments.subList(0, fixed).forEach(segment -> quote(expression.append('/'), segment));
    boolean any = false;
    for (String segment : rest) {
      if (syntax.globstar() && segment.equals("**")) {
        any = true;
        expression.append("(?:/[^/]+)*");
      } else {
        expression.append('/').append(new Segment(segment, syntax).expression());
      }
    }
    return new Glob(
        "/" + String.join("/", segments.subList(0, fixed)),
        any ? OptionalInt.empty() : OptionalInt.of(rest.size()),
        expression.append(segments.isEmpty() ? "/$" : "$").toString(),
        glob.endsWith("/"));
  }

  private static boolean isFixed(String segment) {
    return segment.chars().noneMatch(c -> "\\*?[{(".indexOf(c) >= 0);
  }

  private static void quote(StringBuilder out, String text) {
    text.codePoints().forEach(c -> quote(out, c));
  }

  private static void quote(StringBuilder out, int character) {
    if (SPECIAL.indexOf(character) >= 0) {
      out.append('\\');
    }
    out.appendCodePoint(character);
  }

  /** What stands between two slashes. */
  private static final class Segment {
    private final String text;
    private final Syntax syntax;
    private final StringBuilder out = new StringBuilder();

    /** What each open group ends with; of a brace, which has commas, it is a brace. */
    private final Deque<String> groups = new ArrayDeque<>();

    private int at;

    Segment(String text, Syntax syntax) {
      this.text = text;
      this.syntax = syntax;
    }

    String expression() throws SdkError {
      while (at < text.length()) {
        take(text.codePointAt(at));
      }
      if (groups.isEmpty()) {
        return out.toString();
      }
      // A group that nothing ends is none, and the text is what it says.
      StringBuilder literal = new StringBuilder();
      quote(literal, text);
      return literal.toString();
    }

    private void take(int c) throws SdkError {
      at += Character.charCount(c);
      boolean group = syntax.extended() && at < text.length() && text.charAt(at) == '(';
      switch (c) {
        case '\\' -> {
          int escaped = at < text.length() ? text.codePointAt(at) : '\\';
          at += at < text.length() ? Character.charCount(escaped) : 0;
          quote(out, escaped);
        }
        case '!' -> {
          if (group) {
            throw SdkError.notServed("!(…) in a glob");
          }
          out.append('!');
        }
        case '@', '+', '?', '*' -> {
          if (group) {
            at++;
            out.append("(?:");
            groups.push(c == '@' ? ")" : ")" + Character.toString(c));
          } else if (c == '*') {
            skipStars();
            out.append("[^/]*");
          } else if (c == '?') {
            out.append("[^/]");
          } else {
            quote(out, c);
          }
        }
        case '{' -> {
          out.append("(?:");
          groups.push("}");
        }
        case '}' -> end("}".equals(groups.peek()), c);
        case ')' -> end(!groups.isEmpty() && !"}".equals(groups.peek()), c);
        case ',' -> out.append("}".equals(groups.peek()) ? "|" : ",");
        case '|' -> out.append(groups.isEmpty() || "}".equals(groups.peek()) ? "\\|" : "|");
        case '[' -> characters();
        default -> quote(out, c);
      }
    }

    private void skipStars() {
      while (at < text.length()
          && text.charAt(at) == '*'
          && !(syntax.extended() && text.startsWith("(", at + 1))) {
        at++;
      }
    }

    private void end(boolean open, int c) {
      if (open) {
        String end = groups.pop();
        out.append(end.equals("}") ? ")" : end);
      } else {
        quote(out, c);
      }
    }

    /** {@code […]}; without an end it is a bracket. */
    private void characters() {
      int from = at;
      boolean none = text.startsWith("!", from) || text.startsWith("^", from);
      if (none) {
        from++;
      }
      StringBuilder set = new StringBuilder(none ? "[^/" : "[");
      int next = from;
      while (next < text.length() && (text.charAt(next) != ']' || next == from)) {
        int named = text.startsWith("[:", next) ? text.indexOf(":]", next + 2) : -1;
        if (named > 0) {
          set.append(text, next, named + 2);
          next = named + 2;
          continue;
        }
        if (text.charAt(next) == '\\' && next + 1 < text.length()) {
          next++;
        }
        int c = text.codePointAt(next);
        if (c != '-' && SPECIAL.indexOf(c) >= 0) {
          set.append('\\');
        }
        set.appendCodePoint(c);
        next += Character.charCount(c);
      }
      if (next >= text.length()) {
        out.append("\\[");
        return;
      }
      out.append(set).append(']');
      at = next + 1;
    }
  }
}
