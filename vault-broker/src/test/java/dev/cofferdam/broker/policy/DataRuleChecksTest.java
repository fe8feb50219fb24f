package dev.cofferdam.broker.policy;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.RuleAction;
import java.util.Collections;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class DataRuleChecksTest {
  private static final DataRule MAIL =
      DataRule.newBuilder().addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES).build();

  private static EgressPolicy.Builder policy(DataRule.Builder... rules) {
    EgressPolicy.Builder policy =
        EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost("api.example.com"));
    for (DataRule.Builder rule : rules) {
      policy.addData(rule);
    }
    return policy;
  }

  private static DataRule.Builder pattern(String pattern) {
    return DataRule.newBuilder().addPatterns(pattern);
  }

  private static void fine(EgressPolicy.Builder policy) {
    assertThatCode(() -> Policies.of(policy.build())).doesNotThrowAnyException();
  }

  private static void refused(EgressPolicy.Builder policy, String message) {
    assertRefused(() -> Policies.of(policy.build()), ErrorReason.ERROR_REASON_POLICY_INVALID);
    assertThatThrownBy(() -> Policies.of(policy.build())).hasMessageContaining(message);
  }

  @Test
  void aRuleSaysWhatItLooksFor() {
    fine(policy(MAIL.toBuilder(), pattern("x").setAction(DataAction.DATA_ACTION_REPORT)));
    refused(
        policy(MAIL.toBuilder(), DataRule.newBuilder()),
        "data rule 2: neither detectors nor patterns");
  }

  @Test
  void whatIsUnknownIsNotTakenForSomethingElse() {
    refused(
        policy(DataRule.newBuilder().addDetectors(DataDetector.DATA_DETECTOR_UNSPECIFIED)),
        "data rule 1: detector 0");
    refused(policy(DataRule.newBuilder().addDetectorsValue(99)), "data rule 1: detector 99");
    refused(policy(MAIL.toBuilder().setActionValue(9)), "data rule 1: action 9");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "(|none of RE2",
        "a(?=b)|none of RE2",
        "(a)\\1|none of RE2",
        "a{2000}|none of RE2",
        "a*|matches where nothing is",
        "^|matches where nothing is",
        "a?b?|matches where nothing is",
      })
  void aPatternIsOneOfRe2AndMatchesSomething(String pattern, String message) {
    refused(policy(pattern(pattern)), "data rule 1: the pattern");
    refused(policy(pattern(pattern)), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"(?i)project-[0-9]{4}\\b", "^/a", "(a+)+$", "x", "(?m)^Subject: "})
  void onesThatAre(String pattern) {
    fine(policy(pattern(pattern)));
  }

  @Test
  void everythingHasAnEnd() {
    fine(policy(MAIL.toBuilder()).addAllData(Collections.nCopies(31, MAIL)));
    refused(policy(MAIL.toBuilder()).addAllData(Collections.nCopies(32, MAIL)), "33 data rules");
    fine(policy(DataRule.newBuilder().addAllPatterns(Collections.nCopies(16, "x"))));
    refused(
        policy(DataRule.newBuilder().addAllPatterns(Collections.nCopies(17, "x"))), "17 patterns");
    refused(policy(MAIL.toBuilder().addAllHosts(Collections.nCopies(65, "a.b.com"))), "65 hosts");
    refused(policy(pattern("x".repeat(513))), "513 characters");
    // What they cost is paid for each byte, so it is counted together.
    fine(policy(pattern("[0-9]{400}")));
    refused(policy(pattern("[0-9]{600}")), "data rule 1: patterns of ");
    refused(policy(pattern("[0-9]{300}"), pattern("[a-z]{300}")), "data rule 2: patterns of ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"*.com", "a_b..c", "https://a.example.com", "", "a.example.com:443"})
  void hostsAreThoseOfRules(String host) {
    EgressPolicy policy = policy(MAIL.toBuilder().addHosts(host)).build();
    assertRefused(() -> Policies.of(policy), ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID);
    assertThatThrownBy(() -> Policies.of(policy)).hasMessageStartingWith("data rule 1: ");
  }

  /** Nobody looks into what is passed through. */
  @ParameterizedTest
  @CsvSource({
    "api.example.com, api.example.com, true",
    "*.example.com, api.example.com, true",
    "api.example.com, *.example.com, true",
    "other.example.com, api.example.com, false",
    "'', api.example.com, true",
  })
  void noDataRuleWhereARulePassesThrough(String searched, String passed, boolean refused) {
    DataRule.Builder rule = MAIL.toBuilder();
    if (!searched.isEmpty()) {
      rule.addHosts(searched);
    }
    EgressPolicy.Builder policy =
        EgressPolicy.newBuilder()
            .addRules(EgressRule.newBuilder().setHost(passed).setPassthrough(true))
            .addData(rule);
    if (refused) {
      refused(policy, "data rule 1: a rule passes " + passed + " through");
    } else {
      fine(policy);
    }
  }

  @Test
  void norOfAllHostsBesideARange() {
    EgressRule.Builder range = EgressRule.newBuilder().setCidr("203.0.113.0/24").addPorts(22);
    refused(policy(MAIL.toBuilder()).addRules(range), "data rule 1: a rule passes 203.0.113.0/24");
    fine(policy(MAIL.toBuilder().addHosts("api.example.com")).addRules(range));
    fine(policy(MAIL.toBuilder()).addRules(range.setAction(RuleAction.RULE_ACTION_DENY)));
  }

  @Test
  void allOfThemGoWithApprovalsAndWithLearning() {
    fine(
        policy(MAIL.toBuilder())
            .addRules(
                EgressRule.newBuilder()
                    .setHost("b.example.com")
                    .setAction(RuleAction.RULE_ACTION_APPROVE)));
    fine(policy(MAIL.toBuilder()).setMode(PolicyMode.POLICY_MODE_LEARN));
  }
}
