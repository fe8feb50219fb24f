package dev.cofferdam.kit.egress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.RateCap;
import dev.cofferdam.v1.RequestCaps;
import dev.cofferdam.v1.TimeWindow;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ScheduleTest {
  private static TimeWindow.Builder window(String from, String to, Integer... days) {
    return TimeWindow.newBuilder().setFrom(from).setTo(to).addAllDays(List.of(days));
  }

  private static Schedule schedule(TimeWindow.Builder... windows) {
    EgressRule.Builder rule = EgressRule.newBuilder();
    for (TimeWindow.Builder window : windows) {
      rule.addWindows(window);
    }
    return Schedule.of(rule.build());
  }

  /** 2026-06-01 is a Monday. */
  @ParameterizedTest
  @CsvSource({
    "2026-06-01T08:59:59Z, false",
    "2026-06-01T09:00:00Z, true",
    "2026-06-01T16:59:59Z, true",
    "2026-06-01T17:00:00Z, false",
    "2026-06-06T12:00:00Z, false",
    // Over midnight, from Friday to Saturday.
    "2026-06-05T21:59:00Z, false",
    "2026-06-05T22:00:00Z, true",
    "2026-06-06T05:59:00Z, true",
    "2026-06-06T06:00:00Z, false",
    "2026-06-06T22:00:00Z, false",
    "2026-06-05T05:00:00Z, false",
  })
  void aWindowIsOfDaysAndTimes(Instant instant, boolean contained) {
    Schedule schedule =
        schedule(window("09:00", "17:00", 1, 2, 3, 4, 5), window("22:00", "06:00", 5));

    assertThat(schedule.contains(instant)).isEqualTo(contained);
  }

  /** In summer Berlin is two hours ahead, in winter one. */
  @Test
  void aWindowIsOfItsTimeZone() {
    Schedule schedule = schedule(window("09:00", "10:00").setTimeZone("Europe/Berlin"));

    assertThat(schedule.contains(Instant.parse("2026-06-01T07:30:00Z"))).isTrue();
    assertThat(schedule.contains(Instant.parse("2026-12-01T07:30:00Z"))).isFalse();
    assertThat(schedule.contains(Instant.parse("2026-12-01T08:30:00Z"))).isTrue();
  }

  @Test
  void aRuleExpires() {
    Schedule schedule =
        Schedule.of(
            EgressRule.newBuilder().setExpireTime(Timestamp.newBuilder().setSeconds(100)).build());

    assertThat(schedule.contains(Instant.ofEpochMilli(99_999))).isTrue();
    assertThat(schedule.contains(Instant.ofEpochSecond(100))).isFalse();
    assertThat(schedule().contains(Instant.MAX)).isTrue();
  }

  @Test
  void whatIsNoTimeIsRefused() {
    for (TimeWindow.Builder wrong :
        List.of(
            window("9:00", "10:00"),
            window("09:00", "24:00"),
            window("", "10:00"),
            window("09:00", "10:00", 0),
            window("09:00", "10:00", 8),
            window("09:00", "10:00").setTimeZone("Berlin"),
            window("09:00", "10:00").setTimeZone("GMT+2"))) {
      assertThatThrownBy(() -> schedule(wrong)).isInstanceOf(IllegalArgumentException.class);
    }
    assertThatThrownBy(() ->
            Schedule.of(
                EgressRule.newBuilder()
                    .setExpireTime(Timestamp.newBuilder().setSeconds(Long.MAX_VALUE))
                    .build()))
        .hasMessageContaining("expire_time");
  }

  @Test
  void capsThatMakeNoSenseAreRefused() {
    for (RequestCaps.Builder wrong :
        List.of(
            RequestCaps.newBuilder().setRequests(-1),
            RequestCaps.newBuilder().setBytes(-1),
            RequestCaps.newBuilder().setConcurrent(-1),
            RequestCaps.newBuilder().setRate(RateCap.newBuilder().setCount(1)),
            RequestCaps.newBuilder()
                .setRate(RateCap.newBuilder().setPer(Duration.newBuilder().setSeconds(1))),
            RequestCaps.newBuilder()
                .setRate(
                    RateCap.newBuilder()
                        .setCount(1)
                        .setPer(Duration.newBuilder().setSeconds(86_401))),
            RequestCaps.newBuilder()
                .setRate(
                    RateCap.newBuilder()
                        .setCount(1)
                        .setPer(
                            Duration.newBuilder()
                                .setSeconds(Long.MAX_VALUE)
                                .setNanos(Integer.MAX_VALUE))))) {
      assertThatThrownBy(() -> Caps.of(wrong.build())).isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(Caps.of(RequestCaps.getDefaultInstance())).isEqualTo(Caps.NONE);
  }
}
