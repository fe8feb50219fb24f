package dev.cofferdam.loadtest;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** What was measured, as text for people and as JSON for machines. */
final class Report {
  private final PrintWriter out;
  private final Map<String, Object> facts = new LinkedHashMap<>();

  Report(PrintWriter out, String workload, Instant time) {
    this.out = out;
    facts.put("workload", workload);
    facts.put("time", time.toString());
    facts.put("processors", Runtime.getRuntime().availableProcessors());
  }

  void line(String text) {
    out.println(text);
    out.flush();
  }

  void fact(String name, Object value) {
    facts.put(name, value);
  }

  void times(String key, String name, Percentiles times) {
    facts.put(key, times);
    line(times.row(name));
  }

  void number(String key, String name, double value, String unit) {
    facts.put(key, value);
    line(String.format(Locale.ROOT, "%-34s %27.2f %s", name, value, unit));
  }

  /** A number with what it is held to. */
  void number(String key, String name, double value, String unit, Goal goal) {
    facts.put(key, value);
    line(String.format(Locale.ROOT, "%-34s %27.2f %s (%s)", name, value, unit, goal.of(value)));
  }

  void write(Optional<Path> file) throws IOException {
    if (file.isPresent()) {
      Files.writeString(
          file.get(),
          new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(facts)
              + "\n");
    }
  }
}
