package dev.cofferdam.kit.egress;

import dev.cofferdam.v1.HeaderMatch;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What is asked of one header.
 *
 * @param value empty: it has to be there
 */
record HeaderRule(String name, Optional<Glob> value, boolean absent) {
  private static final Pattern NAME = Pattern.compile("[!#$%&'*+.^_`|~0-9a-z-]{1,256}");
  private static final int MAX_VALUE = 1024;

  /** What the gateway writes itself or does not send on. */
  private static final Set<String> OWN =
      Set.of(
          "host",
          "connection",
          "content-length",
          "keep-alive",
          "proxy-authorization",
          "proxy-connection",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade",
          "expect");

  static HeaderRule of(HeaderMatch header) {
    String name = header.getName();
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "the header '%s', expected a name in lower case".formatted(Shown.of(name)));
    }
    if (OWN.contains(name)) {
      throw new IllegalArgumentException(
          "the header %s, which is never sent on as it came".formatted(name));
    }
    if (header.getAbsent() && !header.getValue().isEmpty()) {
      throw new IllegalArgumentException(
          "the header %s has a value and is to be absent, expected one of both".formatted(name));
    }
    if (header.getValue().length() > MAX_VALUE) {
      throw new IllegalArgumentException(
          "the header %s has a value of %d characters, expected at most %d"
              .formatted(name, header.getValue().length(), MAX_VALUE));
    }
    return new HeaderRule(
        name,
        header.getValue().isEmpty() ? Optional.empty() : Optional.of(new Glob(header.getValue())),
        header.getAbsent());
  }

  boolean matches(RequestFacts request) throws AmbiguousException {
    Optional<String> there = request.header(name);
    if (there.isEmpty() || absent || value.isEmpty()) {
      return there.isEmpty() == absent;
    }
    request.chargePattern(value.get().text().length(), there.get().length());
    return value.get().matches(there.get());
  }
}
