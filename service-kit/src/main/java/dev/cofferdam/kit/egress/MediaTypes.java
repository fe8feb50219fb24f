package dev.cofferdam.kit.egress;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/** Which content types, parameters aside. */
record MediaTypes(List<String> types) {
  private static final Pattern TYPE =
      Pattern.compile("[a-z0-9!#$&^_.+-]{1,127}/(\\*|[a-z0-9!#$&^_.+-]{1,127})");

  private static final Pattern QUOTED = Pattern.compile("\"[^\"]*\"");

  MediaTypes {
    types = List.copyOf(types);
    for (String type : types) {
      if (!TYPE.matcher(type).matches()) {
        throw new IllegalArgumentException(
            "the content type '%s', expected like application/json or text/*"
                .formatted(Shown.of(type)));
      }
    }
  }

  boolean matches(RequestFacts request) throws AmbiguousException {
    Optional<String> header = request.header("content-type");
    if (header.isEmpty()) {
      return false;
    }
    if (QUOTED.matcher(header.get()).replaceAll("").indexOf(',') >= 0) {
      throw new AmbiguousException("the header content-type has several values");
    }
    int semicolon = header.get().indexOf(';');
    String type =
        (semicolon < 0 ? header.get() : header.get().substring(0, semicolon))
            .strip()
            .toLowerCase(Locale.ROOT);
    return types.stream()
        .anyMatch(own ->
            own.endsWith("/*")
                ? type.startsWith(own.substring(0, own.length() - 1))
                : type.equals(own));
  }
}
