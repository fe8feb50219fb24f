package dev.cofferdam.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RuleAction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RequestConditionsTest {
  private static EgressRule.Builder get(String host) {
    return EgressRule.newBuilder().setHost(host).setHttp(HttpMatch.newBuilder().addMethods("GET"));
  }

  private static EgressRule.Builder host(String host) {
    return EgressRule.newBuilder().setHost(host);
  }

  private static Policy policy(EgressRule.Builder... rules) {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    for (EgressRule.Builder rule : rules) {
      policy.addRules(rule);
    }
    return Policies.of(policy.build());
  }

  private static void assertInvalid(String message, EgressRule.Builder... rules) {
    assertThatThrownBy(() -> policy(rules))
        .isInstanceOfSatisfying(
            Refusal.class,
            refusal ->
                assertThat(refusal.reason()).isEqualTo(ErrorReason.ERROR_REASON_POLICY_INVALID))
        .hasMessageContaining(message);
  }

  @Test
  void aHostWithConditionsIsIntercepted() {
    assertThat(policy(get("a.example.com"), host("a.example.com")).intercepted())
        .extracting(HostPattern::toString)
        .containsExactly("a.example.com");
  }

  @Test
  void aMistakeIsToldWithItsRuleAndItsPlace() {
    assertInvalid(
        "rule 2: when, line 1, column 14",
        host("a.example.com"),
        host("b.example.com").setHttp(HttpMatch.newBuilder().setWhen("request.size == 'big'")));
    assertInvalid(
        "rule 1: the path '/a/../b'",
        host("a.example.com").setHttp(HttpMatch.newBuilder().addPaths("/a/../b")));
    assertInvalid(
        "rule 1: http has no condition",
        host("a.example.com").setHttp(HttpMatch.getDefaultInstance()));
  }

  @Test
  void whatNobodyLooksIntoHasNoConditions() {
    assertInvalid(
        "rule 1: the rule for a.example.com passes through",
        get("a.example.com").setPassthrough(true));
    assertInvalid(
        "rule 1: a rule for a range",
        get("a.example.com").clearHost().setCidr("203.0.113.0/24").addPorts(443));
    assertInvalid(
        "*.example.com is passed through and a rule for a.example.com has conditions",
        host("*.example.com").setPassthrough(true),
        get("a.example.com"));
    assertInvalid(
        "has conditions",
        get("a.example.com"),
        host("a.example.com").addPorts(443).setPassthrough(true));
    // At another port it is another connection.
    assertThat(
            policy(get("a.example.com"), host("a.example.com").addPorts(22).setPassthrough(true))
                .rules())
        .hasSize(2);
  }

  @ParameterizedTest
  @EnumSource(names = {"RULE_ACTION_DOWNGRADE", "RULE_ACTION_APPROVE"})
  void whatNobodyLooksIntoIsNeitherDowngradedNorApproved(RuleAction action) {
    assertInvalid(
        "passes through and downgrades or asks for approvals",
        host("a.example.com").setPassthrough(true).setAction(action));
    assertInvalid(
        "a rule for a range",
        EgressRule.newBuilder().setCidr("203.0.113.0/24").addPorts(1).setAction(action));
    assertThat(policy(host("a.example.com").setAction(action)).intercepted()).hasSize(1);
  }

  @Test
  void aLimitIsForWhatIsLetThroughOneByOne() {
    assertInvalid(
        "passes connections through",
        host("a.example.com").setPassthrough(true).setMaxRequestBytes(1));
    assertInvalid(
        "this rule denies",
        host("a.example.com").setAction(RuleAction.RULE_ACTION_DENY).setMaxRequestBytes(1));
    assertInvalid("less than 2^63", host("a.example.com").setMaxRequestBytes(-1));
    assertInvalid(
        "a range",
        EgressRule.newBuilder().setCidr("203.0.113.0/24").addPorts(1).setMaxRequestBytes(1));
  }

  @Test
  void aPolicyIsNotLargerThanCanBeSent() {
    HttpMatch.Builder match = HttpMatch.newBuilder();
    for (int i = 0; i < 64; i++) {
      match.addPaths("/" + i + "/" + "x".repeat(1000));
    }
    EgressRule.Builder rule = host("a.example.com").setHttp(match);

    assertInvalid("expected at most 262144", rule, rule, rule, rule, rule);
  }
}
