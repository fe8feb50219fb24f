package dev.cofferdam.kit.config;

import java.io.IOException;
import java.io.Reader;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The settings of one service, read once from a properties file and the environment, which wins.
 *
 * <p>A getter never throws for a bad value: it notes the problem and returns a harmless stand-in,
 * so that {@link #finish()} can report every problem at once, unknown keys included. Only after it
 * may the values be used.
 *
 * <p>The environment's name of a key is {@code COFFERDAM_<SERVICE>_<KEY>} in upper case with {@code
 * .} and {@code -} as {@code _}. Not safe for use by several threads.
 */
public final class Settings {
  private static final Pattern DURATION = Pattern.compile("(\\d{1,12})(ms|s|m|h|d)");

  private final String source;
  private final Map<String, String> file;
  private final Map<String, String> environment;
  private final String environmentPrefix;
  private final Set<String> asked = new HashSet<>();
  private final Set<String> askedPrefixes = new HashSet<>();
  private final List<String> problems = new ArrayList<>();

  private Settings(
      String source, Map<String, String> file, Map<String, String> environment, String prefix) {
    this.source = source;
    this.file = file;
    this.environment = environment;
    this.environmentPrefix = prefix;
  }

  /** A file that cannot be read is a problem like any other, reported by {@link #finish()}. */
  public static Settings load(String service, Path file, Map<String, String> environment) {
    Map<String, String> values = new TreeMap<>();
    List<String> problems = new ArrayList<>();
    Properties properties = new Properties();
    try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
      properties.load(reader);
      for (String key : properties.stringPropertyNames()) {
        values.put(key, properties.getProperty(key).strip());
      }
    } catch (IOException | IllegalArgumentException e) {
      problems.add("cannot read the file: " + e);
    }
    Settings settings = of(service, file.toString(), values, environment);
    settings.problems.addAll(problems);
    return settings;
  }

  /** Settings without a file, for tests and for callers that hold the values already. */
  public static Settings of(
      String service, String source, Map<String, String> values, Map<String, String> environment) {
    return new Settings(
        source,
        Map.copyOf(values),
        Map.copyOf(environment),
        "COFFERDAM_" + variable(service) + "_");
  }

  public String text(String key, String fallback) {
    return raw(key).orElse(fallback);
  }

  public String requiredText(String key) {
    return raw(key).orElseGet(() -> problem(key, "is required", ""));
  }

  /** Both bounds are allowed values. */
  public int integer(String key, int fallback, int min, int max) {
    Optional<String> value = raw(key);
    if (value.isEmpty()) {
      return fallback;
    }
    try {
      int number = Integer.parseInt(value.get());
      if (number >= min && number <= max) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Reported below, as a number out of range is.
    }
    return problem(
        key, "is '" + value.get() + "', expected a whole number from " + min + " to " + max, min);
  }

  public int port(String key, int fallback) {
    return integer(key, fallback, 0, 65535);
  }

  /** A number and a unit: {@code 250ms}, {@code 10s}, {@code 5m}, {@code 24h}, {@code 30d}. */
  public Duration duration(String key, Duration fallback, Duration min, Duration max) {
    Optional<String> value = raw(key);
    if (value.isEmpty()) {
      return fallback;
    }
    Matcher matcher = DURATION.matcher(value.get());
    if (matcher.matches()) {
      long number = Long.parseLong(matcher.group(1));
      Duration duration =
          switch (matcher.group(2)) {
            case "ms" -> Duration.ofMillis(number);
            case "s" -> Duration.ofSeconds(number);
            case "m" -> Duration.ofMinutes(number);
            case "h" -> Duration.ofHours(number);
            default -> Duration.ofDays(number);
          };
      if (duration.compareTo(min) >= 0 && duration.compareTo(max) <= 0) {
        return duration;
      }
    }
    return problem(
        key,
        "is '" + value.get() + "', expected a duration from " + show(min) + " to " + show(max),
        min);
  }

  public boolean flag(String key, boolean fallback) {
    Optional<String> value = raw(key);
    if (value.isEmpty()) {
      return fallback;
    }
    return switch (value.get()) {
      case "true" -> true;
      case "false" -> false;
      default -> problem(key, "is '" + value.get() + "', expected true or false", false);
    };
  }

  public Path path(String key, Path fallback) {
    return optionalPath(key).orElse(fallback);
  }

  public Path requiredPath(String key) {
    return optionalPath(key).orElseGet(() -> problem(key, "is required", Path.of("/")));
  }

  public Optional<Path> optionalPath(String key) {
    return raw(key)
        .map(value -> {
          Path path = Path.of(value);
          return path.isAbsolute()
              ? path
              : problem(key, "is '" + value + "', expected an absolute path", Path.of("/"));
        });
  }

  /** Comma-separated, blanks around an entry ignored. */
  public List<String> list(String key, List<String> fallback) {
    return raw(key).map(value -> List.of(value.split("\\s*,\\s*"))).orElse(fallback);
  }

  /** {@code host:port}; the host is not resolved. */
  public InetSocketAddress address(String key, String fallback) {
    String value = raw(key).orElse(fallback);
    int colon = value.lastIndexOf(':');
    if (colon > 0) {
      try {
        int port = Integer.parseInt(value.substring(colon + 1));
        if (port >= 0 && port <= 65535) {
          return InetSocketAddress.createUnresolved(value.substring(0, colon), port);
        }
      } catch (NumberFormatException e) {
        // Reported below, as a missing colon is.
      }
    }
    return problem(
        key,
        "is '" + value + "', expected host:port",
        InetSocketAddress.createUnresolved("invalid", 0));
  }

  /**
   * Every key of the file that starts with the prefix, without it. The environment has no part in
   * it.
   */
  public Map<String, String> withPrefix(String prefix) {
    askedPrefixes.add(prefix);
    Map<String, String> rest = new TreeMap<>();
    file.forEach((key, value) -> {
      if (key.startsWith(prefix)) {
        rest.put(key.substring(prefix.length()), value);
      }
    });
    return rest;
  }

  /** Notes a problem that a config record found itself. */
  public void problem(String key, String what) {
    problems.add(key + " " + what);
  }

  /**
   * Ends the reading.
   *
   * @throws ConfigException naming every problem and every key of the file that nothing asked for
   */
  public void finish() {
    Map<String, String> unknown = new HashMap<>(file);
    unknown.keySet().removeAll(asked);
    unknown.keySet().removeIf(key -> askedPrefixes.stream().anyMatch(key::startsWith));
    unknown.keySet().stream().sorted().forEach(key -> problems.add(key + " is not a known key"));
    if (!problems.isEmpty()) {
      throw new ConfigException(source, problems);
    }
  }

  private Optional<String> raw(String key) {
    asked.add(key);
    @Nullable String value = environment.get(environmentPrefix + variable(key));
    if (value == null) {
      value = file.get(key);
    }
    return Optional.ofNullable(value).filter(text -> !text.isEmpty());
  }

  private <T> T problem(String key, String what, T standIn) {
    problems.add(key + " " + what);
    return standIn;
  }

  private static String variable(String name) {
    return name.toUpperCase(Locale.ROOT).replace('.', '_').replace('-', '_');
  }

  private static String show(Duration duration) {
    long millis = duration.toMillis();
    return millis % 1000 == 0 ? millis / 1000 + "s" : millis + "ms";
  }
}
