package dev.cofferdam.cli;

import com.google.protobuf.Duration;
import dev.cofferdam.v1.TimeoutAction;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Option;

/** When a sandbox ends, and what happens then. */
final class LifetimeOptions {
  private static final Pattern TIME = Pattern.compile("(\\d{1,9})([smhd])");

  @Option(
      names = "--lifetime",
      paramLabel = "TIME",
      description = "30s, 10m, 2h or 7d from now. Default: none, it lives until removed.")
  private String lifetime = "";

  @Option(
      names = "--timeout-action",
      paramLabel = "delete|suspend|none",
      description = "At the end of the lifetime. Default: delete.")
  private String timeoutAction = "";

  Optional<Duration> lifetime() {
    return lifetime.isEmpty() ? Optional.empty() : Optional.of(duration("--lifetime", lifetime));
  }

  TimeoutAction timeoutAction() {
    return switch (timeoutAction) {
      case "" -> TimeoutAction.TIMEOUT_ACTION_UNSPECIFIED;
      case "delete" -> TimeoutAction.TIMEOUT_ACTION_DELETE;
      case "suspend" -> TimeoutAction.TIMEOUT_ACTION_SUSPEND;
      case "none" -> TimeoutAction.TIMEOUT_ACTION_NONE;
      default ->
          throw new ClientException(
              "--timeout-action '%s', expected delete, suspend or none".formatted(timeoutAction));
    };
  }

  static Duration duration(String option, String text) {
    Matcher matcher = TIME.matcher(text);
    if (!matcher.matches()) {
      throw new ClientException(
          "%s '%s': expected a number and s, m, h or d, as in 10m".formatted(option, text));
    }
    long unit =
        switch (matcher.group(2)) {
          case "s" -> 1;
          case "m" -> 60;
          case "h" -> 3600;
          default -> 86400;
        };
    return Duration.newBuilder().setSeconds(Long.parseLong(matcher.group(1)) * unit).build();
  }
}
