package dev.cofferdam.node.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.helper.HelperException;
import dev.cofferdam.node.helper.HelperException.Code;
import dev.cofferdam.node.helper.SlotUsage;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class SandboxUsageTest {
  private final PrometheusMeterRegistry meters =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final Map<String, Integer> running = new TreeMap<>();
  private final Map<Integer, SlotUsage> used = new HashMap<>();
  private Code refusal = Code.NOT_FOUND;
  private final SandboxUsage usage = new SandboxUsage(() -> running, this::usage, meters);

  private SlotUsage usage(int slot, String sandbox) {
    SlotUsage found = used.get(slot);
    if (found == null) {
      throw new HelperException(refusal, "slot " + slot + " of " + sandbox);
    }
    return found;
  }

  @Test
  void aSandboxIsShownFromItsFirstReadingToItsEnd() {
    running.put("sb-a", 3);
    used.put(3, new SlotUsage(1_500_000_000L, 61 << 20, 8192, 100, 200));
    usage.read();
    assertThat(meters.scrape())
        .contains("cofferdam_sandbox_cpu_seconds_total{sandbox=\"sb-a\"} 1.5\n")
        .contains("cofferdam_sandbox_memory_bytes{sandbox=\"sb-a\"} " + 6.3963136E7 + "\n")
        .contains("cofferdam_sandbox_disk_bytes{sandbox=\"sb-a\"} 8192.0\n")
        .contains(
            "cofferdam_sandbox_network_bytes_total{direction=\"from_guest\",sandbox=\"sb-a\"}"
                + " 100.0\n")
        .contains(
            "cofferdam_sandbox_network_bytes_total{direction=\"to_guest\",sandbox=\"sb-a\"}"
                + " 200.0\n");
    used.put(3, new SlotUsage(2_000_000_000L, 0, 0, 101, 200));
    usage.read();
    assertThat(meters.scrape())
        .contains("cofferdam_sandbox_cpu_seconds_total{sandbox=\"sb-a\"} 2.0\n")
        .contains("{direction=\"from_guest\",sandbox=\"sb-a\"} 101.0\n");
    running.clear();
    usage.read();
    assertThat(meters.scrape()).doesNotContain("sb-a");
  }

  @Test
  void seriesAreBoundByWhatRunsHoweverManyHaveBeen() {
    for (int i = 0; i < 500; i++) {
      running.clear();
      running.put("sb-" + i, 1);
      used.put(1, new SlotUsage(i, i, i, i, i));
      usage.read();
    }
    assertThat(meters.getMeters()).hasSize(5);
  }

  @Test
  void oneThatEndsMeanwhileHidesNoOther() {
    running.put("sb-a", 1);
    running.put("sb-b", 2);
    used.put(2, new SlotUsage(1, 1, 1, 1, 1));
    usage.read();
    assertThat(meters.scrape()).doesNotContain("sb-a").contains("sb-b");
  }

  @Test
  void whileTheHelperIsAwayTheLastReadingStays() {
    running.put("sb-a", 1);
    used.put(1, new SlotUsage(0, 4096, 1, 1, 1));
    usage.read();
    used.clear();
    refusal = Code.UNAVAILABLE;
    usage.read();
    assertThat(meters.scrape())
        .contains("cofferdam_sandbox_memory_bytes{sandbox=\"sb-a\"} 4096.0\n");
  }
}
