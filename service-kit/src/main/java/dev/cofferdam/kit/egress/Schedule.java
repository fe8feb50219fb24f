package dev.cofferdam.kit.egress;

import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.TimeWindow;
import java.time.DateTimeException;
import java.time.DayOfWeek;
import java.time.Instant;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.ResolverStyle;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * When a rule is there.
 *
 * @param windows within any of them; empty: always
 */
public record Schedule(Optional<Instant> expireTime, List<Window> windows) {
  public static final Schedule ALWAYS = new Schedule(Optional.empty(), List.of());

  private static final int MAX_WINDOWS = 16;
  private static final DateTimeFormatter CLOCK =
      DateTimeFormatter.ofPattern("HH:mm").withResolverStyle(ResolverStyle.STRICT);

  public Schedule {
    windows = List.copyOf(windows);
    if (windows.size() > MAX_WINDOWS) {
      throw new IllegalArgumentException(
          "%d windows, expected at most %d".formatted(windows.size(), MAX_WINDOWS));
    }
  }

  /**
   * Times of a week.
   *
   * @param days on which it begins
   * @param to exclusive; on the next day where it is not later than {@code from}
   */
  public record Window(Set<DayOfWeek> days, LocalTime from, LocalTime to, ZoneId zone) {
    public Window {
      days = Set.copyOf(days);
    }

    boolean contains(Instant instant) {
      ZonedDateTime local = instant.atZone(zone);
      LocalTime time = local.toLocalTime();
      DayOfWeek today = local.getDayOfWeek();
      if (from.isBefore(to)) {
        return days.contains(today) && !time.isBefore(from) && time.isBefore(to);
      }
      return (days.contains(today) && !time.isBefore(from))
          || (days.contains(today.minus(1)) && time.isBefore(to));
    }
  }

  /**
   * @throws IllegalArgumentException naming what was given and what was expected
   */
  public static Schedule of(EgressRule rule) {
    return new Schedule(
        rule.hasExpireTime() ? Optional.of(instant(rule)) : Optional.empty(),
        rule.getWindowsList().stream().map(Schedule::window).toList());
  }

  public boolean contains(Instant instant) {
    return (expireTime.isEmpty() || instant.isBefore(expireTime.get()))
        && (windows.isEmpty() || windows.stream().anyMatch(window -> window.contains(instant)));
  }

  private static Instant instant(EgressRule rule) {
    try {
      return Instant.ofEpochSecond(
          rule.getExpireTime().getSeconds(), rule.getExpireTime().getNanos());
    } catch (DateTimeException | ArithmeticException e) {
      throw new IllegalArgumentException("expire_time is no time", e);
    }
  }

  private static Window window(TimeWindow window) {
    Set<DayOfWeek> days =
        window.getDaysCount() == 0
            ? Set.of(DayOfWeek.values())
            : window.getDaysList().stream().map(Schedule::day).collect(Collectors.toSet());
    return new Window(
        days,
        clock("from", window.getFrom()),
        clock("to", window.getTo()),
        zone(window.getTimeZone()));
  }

  private static DayOfWeek day(int day) {
    if (day < 1 || day > 7) {
      throw new IllegalArgumentException(
          "a window has the day %s, expected 1 to 7".formatted(Integer.toUnsignedString(day)));
    }
    return DayOfWeek.of(day);
  }

  private static LocalTime clock(String what, String text) {
    try {
      return LocalTime.parse(text, CLOCK);
    } catch (DateTimeException e) {
      throw new IllegalArgumentException(
          "a window is %s '%s', expected HH:MM".formatted(what, Shown.of(text)), e);
    }
  }

  private static ZoneId zone(String name) {
    if (name.isEmpty()) {
      return ZoneOffset.UTC;
    }
    // Not every text that Java takes for a zone: only names that others know too.
    if (!ZoneId.getAvailableZoneIds().contains(name)) {
      throw new IllegalArgumentException(
          "a window has the time zone '%s', expected a name of IANA's such as Europe/Berlin"
              .formatted(Shown.of(name)));
    }
    return ZoneId.of(name);
  }
}
