package dev.cofferdam.kit.egress;

import dev.cofferdam.v1.HttpMatch;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** A rule's conditions on a request, compiled; all that are given have to hold. */
public final class RequestMatch {
  private static final int MAX_PATHS = 64;
  private static final int MAX_OTHERS = 16;

  private final Optional<MethodRule> methods;
  private final List<PathPattern> paths;
  private final List<HeaderRule> headers;
  private final Optional<MediaTypes> types;
  private final Optional<When> when;

  private RequestMatch(
      Optional<MethodRule> methods,
      List<PathPattern> paths,
      List<HeaderRule> headers,
      Optional<MediaTypes> types,
      Optional<When> when) {
    this.methods = methods;
    this.paths = paths;
    this.headers = headers;
    this.types = types;
    this.when = when;
  }

  /**
   * @throws IllegalArgumentException naming what was given and what was expected
   */
  public static RequestMatch of(HttpMatch match) {
    if (match.equals(HttpMatch.getDefaultInstance())) {
      throw new IllegalArgumentException("http has no condition, expected at least one or no http");
    }
    atMost("methods", match.getMethodsCount(), MAX_OTHERS);
    atMost("paths", match.getPathsCount(), MAX_PATHS);
    atMost("headers", match.getHeadersCount(), MAX_OTHERS);
    atMost("content types", match.getContentTypesCount(), MAX_OTHERS);
    return new RequestMatch(
        match.getMethodsCount() == 0
            ? Optional.empty()
            : Optional.of(new MethodRule(Set.copyOf(match.getMethodsList()))),
        match.getPathsList().stream().map(PathPattern::parse).toList(),
        match.getHeadersList().stream().map(HeaderRule::of).toList(),
        match.getContentTypesCount() == 0
            ? Optional.empty()
            : Optional.of(new MediaTypes(match.getContentTypesList())),
        match.getWhen().isEmpty() ? Optional.empty() : Optional.of(When.compile(match.getWhen())));
  }

  private static void atMost(String what, int count, int most) {
    if (count > most) {
      throw new IllegalArgumentException("%d %s, expected at most %d".formatted(count, what, most));
    }
  }

  /**
   * @param failed what an expression that cannot be evaluated comes to
   * @throws AmbiguousException once a condition has to look at what is ambiguous
   */
  public boolean matches(RequestFacts request, boolean failed) throws AmbiguousException {
    if (methods.isPresent() && !methods.get().matches(request)) {
      return false;
    }
    for (HeaderRule header : headers) {
      if (!header.matches(request)) {
        return false;
      }
    }
    if (types.isPresent() && !types.get().matches(request)) {
      return false;
    }
    if (!paths.isEmpty()) {
      if (!pathMatches(request)) {
        return false;
      }
    }
    return when.isEmpty() || when.get().holds(request, failed);
  }

  private boolean pathMatches(RequestFacts request) throws AmbiguousException {
    RequestPath path = request.path();
    for (PathPattern pattern : paths) {
      request.chargePattern(pattern.text().length(), path.text().length());
      if (pattern.matches(path)) {
        return true;
      }
    }
    return false;
  }
}
