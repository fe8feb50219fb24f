package dev.cofferdam.kit.egress;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What of a request a policy can ask for. Path, query and headers are read when they are first
 * asked for. One thread at a time.
 */
public final class RequestFacts {
  /**
   * What judging one request may cost, in characters looked at. Whoever owns a sandbox writes its
   * policy and its requests, and must not hold up what the gateway does for others: at the very
   * worst this is some tens of milliseconds.
   */
  private static final long BUDGET = 1 << 18;

  /** A header line. */
  public record Line(String name, String value) {}

  private final String method;
  private final String host;
  private final String target;
  private final Supplier<List<Line>> headers;
  private final long size;
  private long budget = BUDGET;
  private @Nullable List<Line> lines;
  private @Nullable RequestPath path;
  private @Nullable Map<String, List<String>> query;
  private @Nullable Map<String, String> joined;

  /**
   * @param host canonical
   * @param target path and query, or {@code *}
   * @param headers as they would be sent on: a line that stays behind must not satisfy a condition
   * @param size of the body in bytes; -1 where only its end tells
   */
  public RequestFacts(
      String method, String host, String target, Supplier<List<Line>> headers, long size) {
    this.method = method;
    this.host = host;
    this.target = target;
    this.headers = headers;
    this.size = size;
  }

  /** Begins a judgement, with all that it may cost. */
  public void begin() {
    budget = BUDGET;
  }

  /**
   * @throws AmbiguousException once it is more than a judgement may cost
   */
  void charge(long cost) throws AmbiguousException {
    budget -= cost;
    if (budget < 0) {
      throw new AmbiguousException("its conditions would take too long for this request");
    }
  }

  /** For a pattern that is laid over a text, at every place at the worst. */
  void chargePattern(int pattern, int text) throws AmbiguousException {
    charge(8 + (long) pattern * text / 64);
  }

  public String method() {
    return method;
  }

  public String host() {
    return host;
  }

  String target() {
    return target;
  }

  public long size() {
    return size;
  }

  public RequestPath path() throws AmbiguousException {
    RequestPath known = path;
    if (known == null) {
      int question = target.indexOf('?');
      known = RequestPath.parse(question < 0 ? target : target.substring(0, question));
      path = known;
    }
    return known;
  }

  Map<String, List<String>> query() throws AmbiguousException {
    Map<String, List<String>> known = query;
    if (known == null) {
      int question = target.indexOf('?');
      known = RequestQuery.parse(question < 0 ? "" : target.substring(question + 1));
      query = known;
    }
    return known;
  }

  private List<Line> lines() {
    List<Line> known = lines;
    if (known == null) {
      known = headers.get();
      lines = known;
    }
    return known;
  }

  /** The one line of that name. */
  Optional<String> header(String name) throws AmbiguousException {
    charge(lines().size());
    Optional<String> found = Optional.empty();
    for (Line line : lines()) {
      if (line.name().equalsIgnoreCase(name)) {
        if (found.isPresent()) {
          throw new AmbiguousException("the header " + name + " stands there more than once");
        }
        found = Optional.of(line.value().strip());
      }
    }
    return found;
  }

  /** Lines of one name joined, RFC 9110 section 5.3. */
  Map<String, String> headers() {
    Map<String, String> known = joined;
    if (known == null) {
      known = new LinkedHashMap<>();
      for (Line line : lines()) {
        known.merge(
            line.name().toLowerCase(Locale.ROOT),
            line.value().strip(),
            (before, more) -> before + ", " + more);
      }
      joined = known;
    }
    return known;
  }
}
