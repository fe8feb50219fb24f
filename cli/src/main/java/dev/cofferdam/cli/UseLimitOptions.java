package dev.cofferdam.cli;

import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.RateCap;
import dev.cofferdam.v1.UseLimits;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Option;

/** How often and how long each sandbox may use a secret. */
final class UseLimitOptions {
  private static final Pattern RATE = Pattern.compile("(\\d{1,9})/(.+)");

  @Option(
      names = "--max-uses",
      paramLabel = "N",
      description = "In how many requests each sandbox may use it. Default: any number.")
  private long uses;

  @Option(
      names = "--rate",
      paramLabel = "N/TIME",
      description = "So many within each time, as 60/1m, per sandbox. Default: any.")
  private String rate = "";

  @Option(
      names = "--expires",
      paramLabel = "TIME",
      description = "30s, 10m, 2h or 7d from now it can be used no more. Default: never.")
  private String expires = "";

  /** As the options have it, but for the end, which is a time. */
  static String text(UseLimits limits) {
    List<String> parts = new ArrayList<>();
    if (limits.getUses() != 0) {
      parts.add(Long.toUnsignedString(limits.getUses()));
    }
    if (limits.hasRate()) {
      parts.add(
          "%d/%ds".formatted(limits.getRate().getCount(), limits.getRate().getPer().getSeconds()));
    }
    if (limits.hasExpireTime()) {
      parts.add("until " + SandboxCommands.time(limits.getExpireTime()));
    }
    return parts.isEmpty() ? "-" : String.join(", ", parts);
  }

  Optional<UseLimits> limits() {
    UseLimits.Builder limits = UseLimits.newBuilder().setUses(uses);
    if (!rate.isEmpty()) {
      Matcher matcher = RATE.matcher(rate);
      if (!matcher.matches()) {
        throw new ClientException("--rate '%s', expected as 60/1m".formatted(rate));
      }
      limits.setRate(
          RateCap.newBuilder()
              .setCount(Integer.parseInt(matcher.group(1)))
              .setPer(LifetimeOptions.duration("--rate", matcher.group(2))));
    }
    if (!expires.isEmpty()) {
      long end =
          Instant.now().getEpochSecond()
              + LifetimeOptions.duration("--expires", expires).getSeconds();
      limits.setExpireTime(Timestamp.newBuilder().setSeconds(end));
    }
    return limits.build().equals(UseLimits.getDefaultInstance())
        ? Optional.empty()
        : Optional.of(limits.build());
  }
}
