package dev.cofferdam.gateway.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.egress.RequestFacts;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RuleAction;
import java.util.List;
import org.junit.jupiter.api.Test;

final class RequestPolicyTest {
  private static final Host.Name API = (Host.Name) Host.parse("api.example.com").orElseThrow();

  private static Policy policy(EgressRule.Builder... rules) {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    for (EgressRule.Builder rule : rules) {
      policy.addRules(rule);
    }
    return Policy.compile(policy.build());
  }

  private static EgressRule.Builder host(String host) {
    return EgressRule.newBuilder().setHost(host);
  }

  private static EgressRule.Builder methods(String... methods) {
    return host("api.example.com").setHttp(HttpMatch.newBuilder().addAllMethods(List.of(methods)));
  }

  private static EgressRule.Builder paths(String... paths) {
    return host("api.example.com").setHttp(HttpMatch.newBuilder().addAllPaths(List.of(paths)));
  }

  private static EgressReason reason(Policy policy, String method, String target) {
    RequestFacts facts = new RequestFacts(method, API.value(), target, List::of, 0);
    return switch (policy.judge(facts, API, 443)) {
      case RequestVerdict.Let _ -> EgressReason.EGRESS_REASON_UNSPECIFIED;
      case RequestVerdict.Denied(EgressReason reason, String why) -> {
        assertThat(why).isNotEmpty().doesNotContain(target);
        yield reason;
      }
    };
  }

  private static final EgressReason LET = EgressReason.EGRESS_REASON_UNSPECIFIED;
  private static final EgressReason NOT_ALLOWED = EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED;
  private static final EgressReason AMBIGUOUS = EgressReason.EGRESS_REASON_REQUEST_AMBIGUOUS;

  @Test
  void whatNoConditionLetsThroughIsDenied() {
    Policy policy = policy(methods("GET", "HEAD"));

    assertThat(policy.decide(API, 443)).isEqualTo(new Decision.Allowed(false));
    assertThat(policy.resolves(API)).isTrue();
    assertThat(reason(policy, "GET", "/secrets-path")).isEqualTo(LET);
    assertThat(reason(policy, "DELETE", "/secrets-path")).isEqualTo(NOT_ALLOWED);
  }

  @Test
  void theFirstRuleWhoseConditionsHoldDecides() {
    Policy policy =
        policy(
            paths("/admin/**").setAction(RuleAction.RULE_ACTION_DENY),
            methods("GET"),
            paths("/upload/*"),
            host("*.example.com").setAction(RuleAction.RULE_ACTION_DENY));

    assertThat(reason(policy, "GET", "/items")).isEqualTo(LET);
    assertThat(reason(policy, "PUT", "/upload/a")).isEqualTo(LET);
    assertThat(reason(policy, "PUT", "/items")).isEqualTo(NOT_ALLOWED);
    assertThat(reason(policy, "GET", "/admin")).isEqualTo(NOT_ALLOWED);
    assertThat(reason(policy, "GET", "/items/../admin")).isEqualTo(AMBIGUOUS);
  }

  /** What packages of npm with a scope are asked for by. */
  @Test
  void aPathThatNoRuleAsksForMayBeWrittenAnyHow() {
    assertThat(reason(policy(methods("GET")), "GET", "/@scope%2fname")).isEqualTo(LET);
    assertThat(reason(policy(host("api.example.com")), "GET", "/@scope%2fname")).isEqualTo(LET);
    assertThat(reason(policy(methods("GET"), paths("/x")), "GET", "/@scope%2fname")).isEqualTo(LET);
    assertThat(reason(policy(paths("/x"), methods("GET")), "GET", "/@scope%2fname"))
        .isEqualTo(AMBIGUOUS);
  }

  @Test
  void aHostWhoseRulesAllDenyIsNotEvenConnectedTo() {
    Policy policy = policy(methods("GET").setAction(RuleAction.RULE_ACTION_DENY));

    assertThat(policy.decide(API, 443)).isInstanceOf(Decision.Denied.class);
    assertThat(policy.resolves(API)).isFalse();
  }

  @Test
  void aConditionalDenialLeavesTheRestToWhatFollows() {
    Policy policy =
        policy(methods("DELETE").setAction(RuleAction.RULE_ACTION_DENY), host("api.example.com"));

    assertThat(policy.decide(API, 443)).isEqualTo(new Decision.Allowed(false));
    assertThat(reason(policy, "DELETE", "/")).isEqualTo(NOT_ALLOWED);
    assertThat(reason(policy, "POST", "/")).isEqualTo(LET);
  }

  @Test
  void withoutConditionsTheReasonsAreThoseOfConnections() {
    assertThat(reason(policy(), "GET", "/")).isEqualTo(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED);
    assertThat(reason(policy(host("api.example.com").addPorts(8443)), "GET", "/"))
        .isEqualTo(EgressReason.EGRESS_REASON_PORT_NOT_ALLOWED);
    assertThat(
            reason(
                policy(host("api.example.com").setAction(RuleAction.RULE_ACTION_DENY)), "GET", "/"))
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED);
  }

  /** The broker refuses such a policy; were it to come all the same, it is looked inside. */
  @Test
  void nothingIsPassedThroughWhereAConditionWouldHaveToBeLookedFor() {
    Policy policy =
        policy(
            methods("DELETE").setAction(RuleAction.RULE_ACTION_DENY),
            host("api.example.com").setPassthrough(true));

    assertThat(policy.decide(API, 443)).isEqualTo(new Decision.Allowed(false));
  }

  @Test
  void conditionsWithPassthroughOrForAddressesAreRefused() {
    assertThatThrownBy(() -> policy(methods("GET").setPassthrough(true)))
        .hasMessageContaining("passes through");
    assertThatThrownBy(
            () -> policy(methods("GET").clearHost().setCidr("203.0.113.0/24").addPorts(1)))
        .hasMessageContaining("passes through");
    assertThatThrownBy(
            () -> policy(host("api.example.com").setPassthrough(true).setMaxRequestBytes(1)))
        .hasMessageContaining("limits");
    assertThatThrownBy(() -> policy(paths("/a/../b"))).hasMessageContaining("/a/../b");
  }
}
