package dev.cofferdam.kit.egress;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** Which methods. */
record MethodRule(Set<String> methods) {
  private static final Pattern METHOD = Pattern.compile("[A-Z][A-Z-]{0,31}");

  /** Headers by which frameworks let a client ask for another method than the request's. */
  private static final List<String> OVERRIDES =
      List.of("x-http-method-override", "x-http-method", "x-method-override");

  MethodRule {
    methods = Set.copyOf(methods);
    for (String method : methods) {
      if (!METHOD.matcher(method).matches() || method.equals("CONNECT")) {
        throw new IllegalArgumentException(
            "the method '%s', expected one in upper case, not CONNECT".formatted(Shown.of(method)));
      }
    }
  }

  boolean matches(RequestFacts request) throws AmbiguousException {
    String method = request.method();
    // Methods have a case (RFC 9110, section 9.1) that some servers do not look at.
    if (method.chars().anyMatch(c -> c >= 'a' && c <= 'z')) {
      throw new AmbiguousException("the method is not in upper case");
    }
    for (String name : OVERRIDES) {
      Optional<String> other = request.header(name);
      if (other.isPresent() && !other.get().equals(method)) {
        throw new AmbiguousException("the header " + name + " asks for another method");
      }
    }
    return methods.contains(method);
  }
}
