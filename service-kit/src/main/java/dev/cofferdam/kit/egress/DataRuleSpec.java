package dev.cofferdam.kit.egress;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import java.util.ArrayList;
import java.util.List;

/**
 * A data rule that was checked, its patterns compiled.
 *
 * @param number in the policy, from 1
 * @param hosts as written, to be read by whoever knows patterns of hosts; empty: all
 * @param action never UNSPECIFIED
 * @param headers whether they are looked at too
 */
public record DataRuleSpec(
    int number,
    List<String> hosts,
    List<DataDetector> detectors,
    List<Pattern> patterns,
    DataAction action,
    boolean headers) {
  private static final int MAX_RULES = 32;
  private static final int MAX_HOSTS = 64;
  private static final int MAX_PATTERNS = 16;
  private static final int MAX_PATTERN_LENGTH = 512;

  /** Of all patterns of a policy: what they cost is paid by the gateway for each byte. */
  private static final int MAX_STEPS = 500;

  public DataRuleSpec {
    hosts = List.copyOf(hosts);
    detectors = List.copyOf(detectors);
    patterns = List.copyOf(patterns);
  }

  /**
   * @throws IllegalArgumentException naming the rule, what was given and what was expected
   */
  public static List<DataRuleSpec> of(EgressPolicy policy) {
    if (policy.getDataCount() > MAX_RULES) {
      throw new IllegalArgumentException(
          "%d data rules, expected at most %d".formatted(policy.getDataCount(), MAX_RULES));
    }
    List<DataRuleSpec> rules = new ArrayList<>();
    int steps = 0;
    for (DataRule rule : policy.getDataList()) {
      int number = rules.size() + 1;
      try {
        DataRuleSpec spec = of(rule, number);
        steps += spec.steps();
        if (steps > MAX_STEPS) {
          throw new IllegalArgumentException(
              "patterns of %d steps with those before, expected at most %d"
                  .formatted(steps, MAX_STEPS));
        }
        rules.add(spec);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("data rule %d: %s".formatted(number, e.getMessage()), e);
      }
    }
    return List.copyOf(rules);
  }

  private static DataRuleSpec of(DataRule rule, int number) {
    atMost("hosts", rule.getHostsCount(), MAX_HOSTS);
    atMost("patterns", rule.getPatternsCount(), MAX_PATTERNS);
    if (rule.getDetectorsCount() == 0 && rule.getPatternsCount() == 0) {
      throw new IllegalArgumentException("neither detectors nor patterns, expected one of them");
    }
    for (int detector : rule.getDetectorsValueList()) {
      DataDetector known = DataDetector.forNumber(detector);
      if (known == null || known == DataDetector.DATA_DETECTOR_UNSPECIFIED) {
        throw new IllegalArgumentException("detector " + detector + " is unknown");
      }
    }
    DataAction action =
        switch (rule.getAction()) {
          case DATA_ACTION_UNSPECIFIED, DATA_ACTION_BLOCK -> DataAction.DATA_ACTION_BLOCK;
          case DATA_ACTION_REDACT, DATA_ACTION_REPORT -> rule.getAction();
          case UNRECOGNIZED ->
              throw new IllegalArgumentException("action " + rule.getActionValue() + " is unknown");
        };
    return new DataRuleSpec(
        number,
        rule.getHostsList(),
        rule.getDetectorsList().stream().distinct().toList(),
        rule.getPatternsList().stream().map(DataRuleSpec::pattern).toList(),
        action,
        rule.getHeaders());
  }

  private static Pattern pattern(String text) {
    if (text.length() > MAX_PATTERN_LENGTH) {
      throw new IllegalArgumentException(
          "a pattern has %d characters, expected at most %d"
              .formatted(text.length(), MAX_PATTERN_LENGTH));
    }
    Pattern pattern;
    try {
      pattern = Pattern.compile(text);
    } catch (PatternSyntaxException e) {
      throw new IllegalArgumentException(
          "the pattern '%s' is none of RE2: %s"
              .formatted(Shown.of(text), Shown.of(e.getDescription())),
          e);
    }
    if (pattern.matcher("").find()) {
      throw new IllegalArgumentException(
          "the pattern '%s' matches where nothing is".formatted(Shown.of(text)));
    }
    return pattern;
  }

  private static void atMost(String what, int count, int most) {
    if (count > most) {
      throw new IllegalArgumentException("%d %s, expected at most %d".formatted(count, what, most));
    }
  }

  /** What its patterns cost at most, for each byte. */
  public int steps() {
    return patterns.stream().mapToInt(Pattern::programSize).sum();
  }
}
