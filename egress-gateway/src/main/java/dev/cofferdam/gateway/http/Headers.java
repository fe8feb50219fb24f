package dev.cofferdam.gateway.http;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/** Header lines in their order. Immutable. */
public record Headers(List<Header> lines) {
  private static final Headers NONE = new Headers(List.of());

  /** RFC 9110 section 7.6.1, and what older peers still send. */
  private static final Set<String> HOP_BY_HOP =
      Set.of(
          "connection",
          "keep-alive",
          "proxy-authenticate",
          "proxy-authorization",
          "proxy-connection",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade",
          "http2-settings");

  public Headers {
    lines = List.copyOf(lines);
  }

  public static Headers none() {
    return NONE;
  }

  public static Headers of(String... namesAndValues) {
    List<Header> lines = new ArrayList<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      lines.add(new Header(namesAndValues[i], namesAndValues[i + 1]));
    }
    return new Headers(lines);
  }

  public Optional<String> first(String name) {
    for (Header line : lines) {
      if (line.is(name)) {
        return Optional.of(line.value());
      }
    }
    return Optional.empty();
  }

  public List<String> all(String name) {
    return lines.stream().filter(line -> line.is(name)).map(Header::value).toList();
  }

  public boolean has(String name) {
    return lines.stream().anyMatch(line -> line.is(name));
  }

  /** Whether a comma-separated list in the header contains the token, in any case. */
  public boolean lists(String name, String token) {
    return all(name).stream()
        .flatMap(value -> Arrays.stream(value.split(",")))
        .anyMatch(item -> item.strip().equalsIgnoreCase(token));
  }

  public Headers with(String name, String value) {
    List<Header> copy = new ArrayList<>(lines);
    copy.add(new Header(name, value));
    return new Headers(copy);
  }

  public Headers without(String... names) {
    return without(line -> Arrays.stream(names).anyMatch(line::is));
  }

  public Headers without(Predicate<Header> unwanted) {
    return new Headers(lines.stream().filter(unwanted.negate()).toList());
  }

  /** What may be sent on to the next hop: nothing that is about this connection. */
  public Headers endToEnd() {
    Set<String> named =
        Set.copyOf(
            all("connection").stream()
                .flatMap(value -> Arrays.stream(value.split(",")))
                .map(item -> item.strip().toLowerCase(Locale.ROOT))
                .toList()
                .stream()
                .distinct()
                .toList());
    return without(line -> {
      String name = line.name().toLowerCase(Locale.ROOT);
      return HOP_BY_HOP.contains(name) || named.contains(name);
    });
  }
}
