package dev.cofferdam.kit.http;

import java.util.ArrayList;
import java.util.HashSet;
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
    List<String> values = List.of();
    for (Header line : lines) {
      if (line.is(name)) {
        values = values.isEmpty() ? new ArrayList<>(2) : values;
        values.add(line.value());
      }
    }
    return values;
  }

  public boolean has(String name) {
    for (Header line : lines) {
      if (line.is(name)) {
        return true;
      }
    }
    return false;
  }

  /** Whether a comma-separated list in the header contains the token, in any case. */
  public boolean lists(String name, String token) {
    for (String value : all(name)) {
      for (String item : value.split(",", -1)) {
        if (item.strip().equalsIgnoreCase(token)) {
          return true;
        }
      }
    }
    return false;
  }

  public Headers with(String name, String value) {
    List<Header> copy = new ArrayList<>(lines);
    copy.add(new Header(name, value));
    return new Headers(copy);
  }

  public Headers without(String... names) {
    return without(line -> {
      for (String name : names) {
        if (line.is(name)) {
          return true;
        }
      }
      return false;
    });
  }

  public Headers without(Predicate<Header> unwanted) {
    List<Header> left = new ArrayList<>(lines.size());
    for (Header line : lines) {
      if (!unwanted.test(line)) {
        left.add(line);
      }
    }
    return left.size() == lines.size() ? this : new Headers(left);
  }

  /** What may be sent on to the next hop: nothing that is about this connection. */
  public Headers endToEnd() {
    Set<String> named = new HashSet<>();
    for (String value : all("connection")) {
      for (String item : value.split(",", -1)) {
        named.add(item.strip().toLowerCase(Locale.ROOT));
      }
    }
    return without(line -> {
      String name = line.name().toLowerCase(Locale.ROOT);
      return HOP_BY_HOP.contains(name) || named.contains(name);
    });
  }
}
